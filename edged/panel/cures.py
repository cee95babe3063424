"""What to do about each kind of problem, for people in front of the box. `edged.device.problems` finds them."""

from __future__ import annotations

CURES = {
    "disk-nearly-full": "Delete what is not needed; lower evidence.max_mb or publish.store_max_mb.",
    "memory-nearly-full": "Fewer or smaller cameras; look for another program that takes memory.",
    "hot": "Clean the fan and the vents, move the box into the shade. It lowers its rate by itself.",
    "rate-reduced": "The box is too hot and processes fewer frames: cool it.",
    "hardware-throttled": "The board slows itself down: cool it, or use a stronger power supply.",
    "over-current": "The power supply is too weak: use the maker's own.",
    "gpu-missing": "Restart the box; if that does not help, see `edged doctor`.",
    "model-missing": "edged models pull NAME, or import it from a stick.",
    "engine-failed": "See the log; `edged engines build` tries it again. Until then the model runs without an engine.",
    "broker-lost": "Look at the network cable, the broker's address, user and password: `edged doctor` says which.",
    "id-in-use": "Give one of the two devices another device.id.",
    "broker-no-retain": "Have the broker keep retained messages.",
    "broker-qos-0": "Have the broker allow QoS 1.",
    "topics-refused": "Give this box the right to write and read below its topic at the broker, or see why it refuses.",
    "message-too-large": "Raise the broker's limit of message size, or lower commands.snapshot_max_kb.",
    "delivery-unverified": "Let this box read its own topics, or use MQTT 5.",
    "camera-lost": "Look at its cable, its power and its address; then restart the camera here.",
    "view-degraded": "Clean the lens, switch on the light, look for what stands before the camera.",
    "person-down-blind": "Hang the camera so that it sees whole people and the floor, and draw the floor again.",
    "frames-failed": "See the log of this box.",
    "certificate-expiry": "Ask whoever runs the broker for another certificate: boxes renew.",
    "clock-not-set": "Give the box a way to a time server (NTP).",
    "thread-dead": "A fault of the program: keep the log, then restart the service.",
    "thread-stuck": "A fault of the program: it is restarted by itself; keep the log.",
    "thread-failing": "A fault of the program: keep the log.",
}
