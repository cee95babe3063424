"""The body of every message, field by field. The one source: builders are checked against these types,
and JSON Schemas, the AsyncAPI document and the reference are generated from them.

Additions keep `v`; a field is never removed or given another meaning without raising it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field
from typing_extensions import NotRequired, TypedDict

UtcMs = Annotated[int, Field(description="UTC, milliseconds since 1970.")]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]


def field(description: str, **bounds: Any) -> Any:
    """The sentence of a field."""
    return Field(description=description, **bounds)


class Header(TypedDict):
    """What every message begins with."""

    v: Annotated[Literal[1], field("Version of the message format.")]
    ts: Annotated[int | None, field("When this was true, UTC in ms; for `poses` the capture. Null in a last will.")]
    time_synced: Annotated[bool, field("Whether NTP, PTP or GPS keeps the box's clock; if not, `ts` may be far off.")]
    seq: Annotated[int, field("Counts the messages of this topic since the daemon started.", ge=0)]


class StoredMessage(Header):
    """A message that survives an outage on disk."""

    id: Annotated[str, field("Of this message; a repeated delivery has the same.")]
    stored: NotRequired[Annotated[bool, field("True: it waited on disk for the broker; `ts` is the original time.")]]


class Status(Header):
    """Whether the box is there; also the last will. Retained."""

    state: Annotated[
        Literal["online", "offline", "stopped"], field("`stopped`: on purpose. `offline`: the broker lost the box.")
    ]


class CameraInfo(TypedDict):
    """What is configured of one camera. Its address is nobody's business."""

    kind: Literal["v4l2", "rtsp", "csi", "files"]
    mode: Literal["multi", "single", "adaptive"]
    detector_interval: Annotated[int, field("Detector on every n-th frame.", ge=1)]
    fixed: Annotated[dict[str, Any] | None, field("Class and box of a region that is never searched; else null.")]


class Info(Header):
    """What the box is. Retained; sent at start and after a reload."""

    version: Annotated[str, field("Of the daemon.")]
    name: Annotated[str, field("What people call the box.")]
    system: Annotated[dict[str, str], field("Operating system, Python and libraries, with versions.")]
    models: Annotated[dict[str, Any], field("Plane, detector, pose model per class, classes.")]
    cameras: dict[str, CameraInfo]


class CameraStatus(Header):
    """Where a camera stands, and why. Retained; sent when it changes."""

    camera: str
    state: Literal["connecting", "online", "lost", "ended"]
    reason: Annotated[str, field("In words; empty while all is well.")]
    since: UtcMs


class ImageSize(TypedDict):
    """Size of the camera image, in px; the origin is its top-left corner."""

    w: Annotated[int, Field(gt=0)]
    h: Annotated[int, Field(gt=0)]


class Quality(TypedDict):
    """Measures of the image, in grey levels."""

    brightness: Annotated[float, field("Mean grey level, 0..255.")]
    contrast: Annotated[float, field("Distance from the 5 % to the 95 % grey level.")]
    sharpness: Annotated[float, field("Variance of the Laplacian over the variance of the image.")]


Keypoint = Annotated[
    list[float | None],
    field("x, y in px of the camera image, and score; x and y are null where not found.", min_length=3, max_length=3),
]

Millimetres = Annotated[list[int], field("x right, y down, z forward, in mm.", min_length=3, max_length=3)]


class Keypoints3d(TypedDict):
    """A person in the camera's space, in mm: a joint lies at `root` plus its row of `joints`."""

    joints: Annotated[list[Millimetres], field("From the root joint, in the order of `schema`.")]
    root: Annotated[Millimetres, field("The root joint, from the camera: x right, y down, z forward.")]
    schema: Annotated[str, field("Names the joints, such as `h36m-18`; their root is the pelvis.")]
    depth: Annotated[
        Literal["rootnet", "heuristic"],
        field("How `root` got its distance. `heuristic`: from the box's size alone, as if all people were of one."),
    ]
    focal: Annotated[
        Literal["given", "assumed"],
        field("`assumed`: the camera has no intrinsics; 1500 px were taken, so no true mm."),
    ]


# `class` is a keyword of Python.
Subject = TypedDict(
    "Subject",
    {
        "id": Annotated[int, field("Stable while tracked; never used twice in a run.", ge=1)],
        "class": Annotated[str, field("Such as `person` or `horse`.")],
        "score": Annotated[float, field("Of the detector; of the last detection when carried.", ge=0, le=1)],
        "box": Annotated[list[float], field("x0, y0, x1, y1 in px, clamped to the image.", min_length=4, max_length=4)],
        "keypoints": Annotated[list[Keypoint], field("In the order of `schema`; empty without a pose model.")],
        "schema": Annotated[str | None, field("Names the keypoints, such as `ap10k-17`; their order: keypoints.json.")],
        "carried": Annotated[bool, field("The box comes from the track, not from a detection in this frame.")],
        "bridged": NotRequired[
            Annotated[
                bool,
                field("True: hardly seen; a box too faint to count, where its track expects it, with keypoints in it."),
            ]
        ],
        "keypoints_smoothed": NotRequired[Annotated[list[Keypoint], field("For display, when configured.")]],
        "pose3d": NotRequired[Annotated[Keypoints3d, field("Of people, with `cameras.<name>.lift`.")]],
    },
)


class Poses(Header):
    """Everything seen in one frame. An empty frame has an empty list."""

    camera: str
    frame: Annotated[int, field("Counts captured frames; gaps are frames that were dropped.", ge=0)]
    image: ImageSize
    subjects: list[Subject]
    degraded: Annotated[
        list[str], field("Why the image is not to be believed: dark, bright, flat, blurred; nobody is looked for then.")
    ]
    quality: Quality
    latency_ms: Annotated[float, field("From capture to result.")]
    source: NotRequired[Annotated[str, field("File that a recorded frame is from.")]]
    position: NotRequired[Annotated[int, field("Frame number in that file.", ge=0)]]


class StallState(TypedDict):
    """A stall that is watched over."""

    posture: Literal["standing", "sternal", "lateral", "unknown"]
    head: Annotated[Literal["above", "level", "below", "unknown"], field("The nose against the base of the neck.")]
    doing: Annotated[list[str], field("`walking`, `paw`, `flank-look`, `roll`, `weave`, `thrash`, `box-walking`.")]
    at: Annotated[str | None, field("The zone its nose is in.")]
    horses: Count
    person: Annotated[bool, field("Somebody is in front of the camera, and has moved.")]
    foal: Annotated[
        Literal["standing", "sternal", "lateral", "unknown"] | None, field("Of the foal; null when it is not seen.")
    ]


class StallDay(TypedDict):
    """A day of a stall. What nobody saw is in no figure, and nothing is scaled up."""

    minutes: Annotated[
        dict[str, float], field("Per posture (`foal-…` of the foal), behaviour, head height, and zone (`at-feeder`).")
    ]
    counts: Annotated[dict[str, Count], field("`lie-down`, `rise`, and bouts of behaviours.")]
    seen_min: Annotated[float, field("Minutes in which the horse was seen well enough.")]
    bouts: Annotated[int, field("Times it lay, and rose again.", ge=0)]
    longest_min: Annotated[float, field("The longest of them.")]


class Gait(TypedDict):
    """How horses walked past, medians of the day: a trend, never a lameness score. Null: seen in no passage."""

    passages: Count
    stride_hz: float | None
    speed: Annotated[float | None, field("Body lengths per second.")]
    fore_ratio: Annotated[float | None, field("Time of the left fore's step over the right one's; 1: even.")]
    hind_ratio: Annotated[float | None, field("The same of the hind legs.")]


class State(StoredMessage):
    """What goes on in front of a camera. Retained; sent when it changes."""

    camera: str
    view: Annotated[
        Literal["ok", "degraded", "lost", "unknown"], field("`unknown`: connecting, or nothing was processed lately.")
    ]
    degraded: Annotated[list[str], field("What is wrong with the image: dark, bright, flat, blurred.")]
    present: Annotated[dict[str, Count] | None, field("Subjects per class; null when nobody can tell.")]
    alerts: Annotated[list[str], field("Alerts of this camera that have not closed, oldest first.")]
    stall: Annotated[StallState | None, field("Null without `[cameras.<name>.stall]`, and while nothing is seen.")]


class Daily(StoredMessage):
    """One local day of a camera, in minutes. Retained; what nobody watched is in no figure."""

    camera: str
    date: Annotated[str, field("Local date of the box, ISO 8601.")]
    closed: Annotated[bool, field("The day is over, and this is its total.")]
    view_min: Annotated[dict[str, float], field("Minutes per view: ok, degraded, lost, unknown.")]
    present_min: Annotated[dict[str, float], field("Minutes with at least one subject of the class.")]
    most: Annotated[dict[str, Count], field("Most subjects of the class at a time.")]
    stall: Annotated[StallDay | None, field("Null without `[cameras.<name>.stall]`.")]
    gait: Annotated[Gait | None, field("Null without `[cameras.<name>.aisle]`.")]


class Alert(StoredMessage):
    """One stage of an episode that a person should know of. Not retained."""

    alert: Annotated[str, field("The episode; the same from its opening to its closing.")]
    camera: str
    event_type: Annotated[str, field("Kind of episode, such as `camera-lost` or `view-degraded`.")]
    stage: Literal["open", "acknowledged", "snoozed", "closed"]
    severity: Literal["info", "warning", "critical"]
    since: Annotated[int, field("When it began to hold, UTC in ms.")]
    held_s: Annotated[int, field("How long it has held, in s.", ge=0)]
    reason: Annotated[str, field("In words.")]
    evidence: Annotated[dict[str, float] | None, field("Signs that speak for it, and how often or how long.")]
    coverage: Annotated[float | None, field("Share of the time looked at in which the horse was seen.")]
    reminders: Annotated[int, field("How often it was told again because nobody acknowledged it.", ge=0)]


class Percentiles(TypedDict):
    """In ms, over the last seconds."""

    p50: float
    p95: float
    p99: float
    max: float


class FrameCounts(TypedDict):
    """What became of every captured frame; captured = processed + dropped + failed + waiting."""

    captured: Count
    processed: Count
    dropped: Annotated[int, field("Overtaken by a newer one.", ge=0)]
    failed: Annotated[int, field("Given up: not decoded, or a model failed.", ge=0)]
    waiting: Count


class TrackStats(TypedDict):
    """How steadily subjects keep their ids, over the last ten minutes."""

    alive: Annotated[int, field("In the latest frame.", ge=0)]
    new_per_min: Annotated[float, field("New ids per minute; many for few subjects mean lost tracks.")]
    median_s: Annotated[float | None, field("Median life of tracks that ended; null when none did.")]
    switches: Annotated[
        int, field("New ids within 2 s of a vanished one of the same class, overlapping its box.", ge=0)
    ]


class CameraHealth(TypedDict):
    """One camera; rates are over the last ten seconds unless said otherwise."""

    state: Literal["connecting", "online", "lost", "ended"]
    reason: Annotated[str, field("In words; empty while all is well.")]
    since: UtcMs
    last_frame: Annotated[int | None, field("Capture of the last processed frame, UTC in ms; null before the first.")]
    fps_in: Annotated[float, field("Frames captured per second.")]
    fps: Annotated[float, field("Frames processed per second.")]
    fps_dropped: Annotated[float, field("Frames dropped per second.")]
    fps_mean: Annotated[float, field("Frames processed per second since start.")]
    reconnects_per_h: Annotated[int, field("Times that it came online again in the last hour.", ge=0)]
    losses_per_h: Annotated[int, field("Times that it was lost in the last hour, stalls included.", ge=0)]
    rescue: Annotated[str, field("What was asked of the system because it stays away, how often; empty: nothing.")]
    subjects: Annotated[int, field("In the latest frame.", ge=0)]
    latency_ms: Annotated[Percentiles | None, field("Capture to result; null when nothing was processed lately.")]
    stage_ms: Annotated[
        dict[str, Percentiles], field("Time per stage: wait, letterbox, gate, detect, decode, crop, pose, publish.")
    ]
    frames: FrameCounts
    degraded_share: Annotated[float | None, field("Part of the last ten minutes' frames that were not believed.")]
    detections_per_min: Annotated[float, field("Subjects found per minute, over the last ten minutes.")]
    confidence: Annotated[float | None, field("Mean detector score of the last ten minutes; null without detections.")]
    tracks: TrackStats


class Process(TypedDict):
    """The daemon itself."""

    cpu_percent: Annotated[float, field("100: one core.")]
    rss_mb: int
    threads: int
    files: Annotated[int, field("Open descriptors.")]


class Gpu(TypedDict):
    """The GPU, from sysfs."""

    load_percent: float | None
    mhz: int | None


class HardwareThrottling(TypedDict):
    """Whether heat or current holds the board back."""

    now: Annotated[list[str], field("Cooling devices at work.")]
    events: Annotated[int, field("Over-current events since the health message before.", ge=0)]


class Throttle(TypedDict):
    """The rate has given way to heat or to the board's own protection."""

    step: Annotated[int, field("Of `heat.steps_hz`; 1 is the first.", ge=1)]
    most_hz: Annotated[float, field("Frames looked at per camera and second; the others are dropped and counted.")]
    reason: Annotated[str, field("In words, with the figure.")]
    since: UtcMs


class DeviceHealth(TypedDict):
    """The computer. What it does not show is null."""

    uptime_s: int
    boot_reason: Annotated[str | None, field("Why it started last, as the board tells it.")]
    cpu_percent: Annotated[float, field("100: all cores.")]
    load: Annotated[float, field("Processes that run or wait, mean of a minute.")]
    memory_total_mb: int
    memory_free_mb: int
    swap_used_mb: int
    gpu_memory_mb: Annotated[int | None, field("Memory that the GPU has taken (NvMap).")]
    disk_free_mb: Annotated[int | None, field("Where models are stored.")]
    disk_used_percent: float | None
    temperature_c: Annotated[float | None, field("Of the hottest zone.")]
    temperatures_c: Annotated[dict[str, float], field("By thermal zone.")]
    throttling: HardwareThrottling | None
    slowed: Annotated[Throttle | None, field("Null while every frame may be looked at.")]
    gpu: Gpu | None
    power_w: Annotated[dict[str, float], field("By supply rail.")]
    fan_percent: float | None
    power_mode: Annotated[str | None, field("nvpmodel mode.")]
    pressure_percent: Annotated[
        dict[str, float] | None, field("Share of time that something waited for cpu, memory, io; mean of 10 s.")
    ]


class ClockHealth(TypedDict):
    """The wall clock."""

    synced: Annotated[bool, field("NTP, PTP or GPS keeps it.")]


class Problem(TypedDict):
    """Something that wants looking after."""

    what: Annotated[str, field("Such as `camera-lost`, `disk-nearly-full`, `clock-not-set`, `throttled`.")]
    where: Annotated[str, field("The camera, or `box`.")]
    detail: Annotated[str, field("In words, with the figure.")]
    since: UtcMs


class StoreHealth(TypedDict):
    """Messages on disk that wait for the broker."""

    rows: Count
    unwritten: Annotated[int, field("Not yet on disk.", ge=0)]
    bytes: Count
    oldest_s: Annotated[int | None, field("Age of the oldest; null when none waits.")]
    durable: Annotated[bool, field("False: the disk is full or read-only, and a power cut loses them.")]
    torn: Annotated[int, field("Files that were damaged and put aside.", ge=0)]


class MqttHealth(TypedDict):
    """The broker connection and what became of every message."""

    connected: bool
    protocol: Annotated[str | None, field("MQTT version in use; null while not connected.")]
    reconnects: Count
    accepted: Annotated[int, field("accepted = published + expired + dropped + failed + waiting.", ge=0)]
    published: Annotated[int, field("Written to the broker; with QoS 1, acknowledged.", ge=0)]
    acknowledged: Annotated[int, field("Of those published, with QoS 1.", ge=0)]
    expired: Annotated[int, field("Too old to be sent.", ge=0)]
    dropped: Annotated[int, field("Too many, or overtaken by newer state.", ge=0)]
    failed: Annotated[int, field("Refused by the broker.", ge=0)]
    waiting: Count
    refused: Annotated[int, field("Topics that the broker would not let us publish or listen to.", ge=0)]
    stored: StoreHealth


class Health(Header):
    """How the box and its cameras are doing. Retained; every `publish.health_s`."""

    uptime_s: Annotated[int, field("Of the daemon.")]
    problems: Annotated[list[Problem], field("What wants looking after; empty when all is well.")]
    process: Process
    box: DeviceHealth
    clock: ClockHealth
    cameras: dict[str, CameraHealth]
    bus: MqttHealth
    models: Annotated[dict[str, Any], field("Plane, detector and pose models in use.")]


class CommandError(TypedDict):
    """Why a command was not carried out."""

    what: Annotated[str, field("The part that is wrong.")]
    got: str
    wanted: str
    do: Annotated[str, field("What helps.")]


class Result(Header):
    """What became of a command. Sent to the response topic, or else to `cmd/<verb>/result`."""

    verb: str
    id: Annotated[str | None, field("As in the command; null when it gave none.")]
    ok: bool
    error: CommandError | None
    data: Annotated[dict[str, Any], field("What the command found out; depends on the verb.")]
