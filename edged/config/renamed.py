"""Keys that were renamed or removed: an old key's error message names the new one. Downstream: messages."""

from __future__ import annotations

from edged.config.toml_lines import Key

ANY = "<name>"  # of a camera

RENAMED = {
    "device.state": "device.state_dir",
    "device.reboots": "device.max_reboots",
    "compute.plane": "compute.backend",
    "engines.level": "engines.optimization_level",
    "publish.queue": "publish.queue_size",
    "publish.health_s": "publish.health_interval_s",
    "publish.daily_s": "publish.daily_interval_s",
    "publish.keep_mb": "publish.store_max_mb",
    "publish.keep_days": "publish.store_max_days",
    "heat": "throttle",
    "throttle.hold_s": "throttle.step_down_s",
    "throttle.calm_s": "throttle.step_up_s",
    "commands.snapshot_kb": "commands.snapshot_max_kb",
    "cameras.<name>.stall_timeout_s": "cameras.<name>.frame_timeout_s",
    "cameras.<name>.fixed": "cameras.<name>.static_region",
    "cameras.<name>.gate": "cameras.<name>.quality",
    "cameras.<name>.track.iou": "cameras.<name>.track.min_iou",
    "cameras.<name>.track.confirm": "cameras.<name>.track.min_hits",
    "cameras.<name>.track.patience_s": "cameras.<name>.track.max_age_s",
    "cameras.<name>.stall.rest_hz": "cameras.<name>.stall.idle_hz",
    "cameras.<name>.stall.feeding": "cameras.<name>.stall.feeding_times",
    "cameras.<name>.stall.expecting": "cameras.<name>.stall.foaling_window",
    "mqtt.base": "mqtt.base_topic",
    "homeassistant.prefix": "homeassistant.discovery_prefix",
    "commands.reply_topics": "commands.response_topics",
    "panel.names": "panel.allowed_hosts",
    "cameras.<name>.down": "cameras.<name>.person_down",
    "cameras.<name>.intrinsics.tilt": "cameras.<name>.intrinsics.tilt_deg",
    "cameras.<name>.motion_gate.keep_alive_s": "cameras.<name>.motion_gate.refresh_s",
    "cameras.<name>.stall.foaling_window.begin": "cameras.<name>.stall.foaling_window.start",
}
REMOVED = {
    "cameras.<name>.track.bridge_s": "the tracker keeps faint subjects by itself; remove it",
}


def advice(key: Key) -> str | None:
    """What to do about an old key, or None if it never existed."""
    name = str(key[1]) if len(key) > 2 and key[0] == "cameras" else None
    old = ".".join(ANY if part == name and place == 1 else str(part) for place, part in enumerate(key))
    if new := RENAMED.get(old):
        return f"it is now called {new.replace(ANY, name or ANY)}; rename it"
    return REMOVED.get(old)
