"""The body of the `health` message, field by field. See `schema` for how these types are used."""

from __future__ import annotations

from typing import Annotated

from typing_extensions import TypedDict

from edged.messages.schema import CameraPhase, Header, Models, UtcMs, field


class Percentiles(TypedDict):
    """In ms, over the last seconds."""

    p50: float
    p95: float
    p99: float
    max: float


class FrameCounts(TypedDict):
    """Every captured frame, by outcome: captured = processed + dropped + failed + waiting."""

    captured: Annotated[int, field("Read from the camera.", ge=0)]
    processed: Annotated[int, field("Their result was passed on.", ge=0)]
    dropped: Annotated[int, field("Replaced by a newer frame.", ge=0)]
    failed: Annotated[int, field("Not decoded, or a model failed.", ge=0)]
    waiting: Annotated[int, field("Captured, and not yet processed.", ge=0)]
    held: Annotated[
        int,
        field(
            "Of those processed: no model ran, as nothing had moved (`motion_gate`); their subjects are `held`.", ge=0
        ),
    ]


class TrackStats(TypedDict):
    """How steadily subjects keep their ids, over the last ten minutes."""

    alive: Annotated[int, field("In the latest frame.", ge=0)]
    new_per_min: Annotated[float, field("New ids per minute; many for few subjects mean lost tracks.")]
    median_life_s: Annotated[float | None, field("Median life of tracks that ended; null when none did.")]
    id_switches: Annotated[
        int,
        field("New ids within 2 s of a vanished one of the same class, overlapping its box; last ten minutes.", ge=0),
    ]


class CameraHealth(TypedDict):
    """One camera; rates are over the last ten seconds unless said otherwise."""

    state: Annotated[CameraPhase, field("`ended`: a file. `off`: switched off, see `switches`.")]
    reason: Annotated[str, field("In words; empty without a fault.")]
    since_ts: UtcMs
    last_frame_ts: Annotated[int | None, field("Capture time of the last processed frame, UTC in ms; null before it.")]
    fps_in: Annotated[float, field("Frames captured per second.")]
    fps: Annotated[float, field("Frames processed per second.")]
    fps_dropped: Annotated[float, field("Frames dropped per second.")]
    fps_mean: Annotated[float, field("Frames processed per second since start.")]
    reconnects_per_h: Annotated[int, field("Times that it came online again in the last hour.", ge=0)]
    losses_per_h: Annotated[int, field("Times that it was lost in the last hour, stalls included.", ge=0)]
    recovery: Annotated[str, field("Recovery actions for a camera that stays lost, and how often; empty: none.")]
    subjects: Annotated[int, field("In the latest frame.", ge=0)]
    latency_ms: Annotated[Percentiles | None, field("Capture to result; null when nothing was processed lately.")]
    stage_ms: Annotated[
        dict[str, Percentiles],
        field("Time per stage: wait, motion, letterbox, quality, detect, decode, crop, pose, lift, publish."),
    ]
    frames: FrameCounts
    degraded_share: Annotated[float | None, field("Share of degraded frames in the last ten minutes.")]
    detections_per_min: Annotated[float, field("Detections per minute, over the last ten minutes.")]
    mean_detection_score: Annotated[
        float | None, field("Of the detector, over the last ten minutes; null without detections.")
    ]
    tracks: TrackStats


class Process(TypedDict):
    """The daemon itself."""

    cpu_percent: Annotated[float, field("100: one core.")]
    rss_mb: Annotated[int, field("Resident memory.")]
    threads: Annotated[int, field("Of the process, those of libraries included.")]
    open_fds: Annotated[int, field("Open file descriptors.")]


class Gpu(TypedDict):
    """The GPU, from sysfs."""

    load_percent: Annotated[float | None, field("Share of time in which it was busy.")]
    mhz: Annotated[int | None, field("Clock frequency.")]


class HardwareThrottling(TypedDict):
    """Protection of the hardware against heat and current."""

    active: Annotated[list[str], field("Cooling devices at work.")]
    over_current_events: Annotated[int, field("Since the health message before.", ge=0)]
    over_current_total: Annotated[int, field("Over-current events since the device booted.", ge=0)]


class Throttle(TypedDict):
    """The frame rate that the daemon has reduced, because of heat or of the hardware's own throttling."""

    level: Annotated[int, field("Of `throttle.steps_hz`; 1 is the first.", ge=1)]
    max_fps: Annotated[float, field("Frames processed per camera and second; the others are dropped and counted.")]
    reason: Annotated[str, field("In words, with the figure.")]
    since_ts: UtcMs


class DeviceHealth(TypedDict):
    """The computer. What it does not show is null."""

    uptime_s: Annotated[int, field("Since the computer booted.")]
    boot_reason: Annotated[str | None, field("Reason of the last boot, as the board reports it.")]
    cpu_percent: Annotated[float, field("100: all cores.")]
    load: Annotated[float, field("Processes that run or wait, mean of a minute.")]
    memory_total_mb: Annotated[int, field("Of the computer (MemTotal).")]
    memory_available_mb: Annotated[int, field("Without swapping (MemAvailable).")]
    swap_used_mb: Annotated[int, field("Swap space in use.")]
    gpu_memory_mb: Annotated[int | None, field("Memory that the GPU has taken (NvMap).")]
    disk_free_mb: Annotated[int | None, field("Where models are stored.")]
    disk_used_percent: Annotated[float | None, field("Of the same disk.")]
    temperature_c: Annotated[float | None, field("Of the hottest zone.")]
    temperatures_c: Annotated[dict[str, float], field("By thermal zone.")]
    hardware_throttling: HardwareThrottling | None
    throttle: Annotated[Throttle | None, field("Null while the frame rate is not reduced.")]
    gpu: Gpu | None
    power_w: Annotated[dict[str, float], field("By supply rail.")]
    fan_percent: Annotated[float | None, field("Duty cycle of the fan.")]
    power_mode: Annotated[str | None, field("nvpmodel mode.")]
    pressure_percent: Annotated[
        dict[str, float] | None, field("Share of time in which work waited for cpu, memory, io; mean of 10 s.")
    ]


class ClockHealth(TypedDict):
    """The wall clock."""

    synced: Annotated[bool, field("Synchronised by NTP, PTP or GPS.")]


class Problem(TypedDict):
    """A condition that needs attention."""

    code: Annotated[
        str,
        field(
            "Such as `camera-lost`, `certificate-expiry`, `disk-nearly-full`, `clock-not-set`, `hardware-throttled`."
        ),
    ]
    source: Annotated[str, field("The camera, the model, the thread or the certificate, `broker`, or `device`.")]
    detail: Annotated[str, field("In words, with the figure.")]
    since_ts: UtcMs


class StoreHealth(TypedDict):
    """Messages on disk that wait for the broker."""

    messages: Annotated[int, field("That wait on disk.", ge=0)]
    unwritten: Annotated[int, field("Not yet on disk.", ge=0)]
    bytes: Annotated[int, field("On disk.", ge=0)]
    oldest_s: Annotated[int | None, field("Age of the oldest; null when none waits.")]
    durable: Annotated[bool, field("False: the disk is full or read-only, and a power cut loses them.")]
    corrupt_files: Annotated[int, field("Damaged files that were put aside.", ge=0)]


class MqttHealth(TypedDict):
    """The broker connection, and every message by outcome."""

    connected: Annotated[bool, field("To the broker.")]
    reason: Annotated[str, field("Why there is no connection; empty while connected.")]
    protocol: Annotated[str | None, field("MQTT version in use; null while not connected.")]
    retain_available: Annotated[
        bool | None, field("Whether the broker keeps retained messages; null while not connected.")
    ]
    max_qos: Annotated[int | None, field("Highest QoS of the broker; null while not connected.")]
    max_message_bytes: Annotated[
        int | None, field("Largest payload with its topic that the broker takes, told by it or learned; null: unknown.")
    ]
    short_connections: Annotated[
        int,
        field(
            "Connections in a row that lasted less than half a minute, and whose end the broker did not explain.", ge=0
        ),
    ]
    other_device: Annotated[str | None, field("Another device that uses this device's id, in words; null: none.")]
    reconnects: Annotated[int, field("Connections after the first, since start.", ge=0)]
    accepted: Annotated[int, field("accepted = published + expired + dropped + failed + waiting.", ge=0)]
    published: Annotated[int, field("Written to the broker; with QoS 1, acknowledged.", ge=0)]
    acknowledged: Annotated[int, field("Of those published, with QoS 1.", ge=0)]
    expired: Annotated[int, field("Too old to be sent.", ge=0)]
    dropped: Annotated[int, field("Too many, or replaced by newer state.", ge=0)]
    failed: Annotated[int, field("Refused by the broker.", ge=0)]
    waiting: Annotated[int, field("Accepted, and none of the others yet.", ge=0)]
    refused: Annotated[int, field("Messages and subscriptions that the broker refused.", ge=0)]
    refused_topics: Annotated[dict[str, str], field("Topics that it refuses now, and why; at most eight.")]
    too_large: Annotated[
        dict[str, int], field("Bytes of messages that were set aside on this connection, by topic; at most eight.")
    ]
    unverified: Annotated[
        bool, field("The broker never says what it drops, and the device may not read its own topics.")
    ]
    stored: StoreHealth


class ModelsHealth(Models):
    gpu_missing: Annotated[bool, field("A GPU should be there and does not answer; models run on the CPU.")]


class Health(Header):
    """Condition of the device and its cameras. Retained; every `publish.health_interval_s`."""

    uptime_s: Annotated[int, field("Of the daemon.")]
    problems: Annotated[list[Problem], field("Conditions that need attention; empty when there are none.")]
    process: Process
    device: DeviceHealth
    clock: ClockHealth
    cameras: dict[str, CameraHealth]
    mqtt: MqttHealth
    models: ModelsHealth
    certificates_end_ts: Annotated[
        dict[str, UtcMs],
        field("When the certificates end, by the key of their file; `broker`: the broker's own."),
    ]
