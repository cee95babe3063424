"""The body of every message, field by field. The one source: builders are checked against these types,
and JSON Schemas, the AsyncAPI document and the reference are generated from them.

Additions keep `v`; a field is never removed or given another meaning without raising it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field
from typing_extensions import NotRequired, TypedDict

Millis = Annotated[int, Field(description="UTC, milliseconds since 1970.")]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]


def says(description: str, **bounds: Any) -> Any:
    """The sentence of a field."""
    return Field(description=description, **bounds)


class Stamp(TypedDict):
    """What every message begins with."""

    v: Annotated[Literal[1], says("Version of the message format.")]
    ts: Annotated[int | None, says("When this was true, UTC in ms; for `poses` the capture. Null in a last will.")]
    time_synced: Annotated[bool, says("Whether NTP, PTP or GPS keeps the box's clock; if not, `ts` may be far off.")]
    seq: Annotated[int, says("Counts the messages of this topic since the daemon started.", ge=0)]


class Kept(Stamp):
    """A message that survives an outage on disk."""

    id: Annotated[str, says("Of this message; a repeated delivery has the same.")]
    stored: NotRequired[Annotated[bool, says("True: it waited on disk for the broker; `ts` is the original time.")]]


class Status(Stamp):
    """Whether the box is there; also the last will. Retained."""

    state: Annotated[
        Literal["online", "offline", "stopped"], says("`stopped`: on purpose. `offline`: the broker lost the box.")
    ]


class CameraInfo(TypedDict):
    """What is configured of one camera. Its address is nobody's business."""

    kind: Literal["v4l2", "rtsp", "csi", "files"]
    mode: Literal["multi", "single", "adaptive"]
    detector_interval: Annotated[int, says("Detector on every n-th frame.", ge=1)]
    fixed: Annotated[dict[str, Any] | None, says("Class and box of a region that is never searched; else null.")]


class Info(Stamp):
    """What the box is. Retained; sent at start and after a reload."""

    version: Annotated[str, says("Of the daemon.")]
    name: Annotated[str, says("What people call the box.")]
    system: Annotated[dict[str, str], says("Operating system, Python and libraries, with versions.")]
    models: Annotated[dict[str, Any], says("Plane, detector, pose model per class, classes.")]
    cameras: dict[str, CameraInfo]


class CameraStatus(Stamp):
    """Where a camera stands, and why. Retained; sent when it changes."""

    camera: str
    state: Literal["connecting", "online", "lost", "ended"]
    reason: Annotated[str, says("In words; empty while all is well.")]
    since: Millis


class Image(TypedDict):
    """Size of the camera image, in px; the origin is its top-left corner."""

    w: Annotated[int, Field(gt=0)]
    h: Annotated[int, Field(gt=0)]


class Quality(TypedDict):
    """Measures of the image, in grey levels."""

    brightness: Annotated[float, says("Mean grey level, 0..255.")]
    contrast: Annotated[float, says("Distance from the 5 % to the 95 % grey level.")]
    sharpness: Annotated[float, says("Variance of the Laplacian over the variance of the image.")]


Keypoint = Annotated[
    list[float | None],
    says("x, y in px of the camera image, and score; x and y are null where not found.", min_length=3, max_length=3),
]

Millimetres = Annotated[list[int], says("x right, y down, z forward, in mm.", min_length=3, max_length=3)]


class Pose3d(TypedDict):
    """A person in the camera's space, in mm: a joint lies at `root` plus its row of `joints`."""

    joints: Annotated[list[Millimetres], says("From the root joint, in the order of `schema`.")]
    root: Annotated[Millimetres, says("The root joint, from the camera: x right, y down, z forward.")]
    schema: Annotated[str, says("Names the joints, such as `h36m-18`; their root is the pelvis.")]
    depth: Annotated[
        Literal["rootnet", "heuristic"],
        says("How `root` got its distance. `heuristic`: from the box's size alone, as if all people were of one."),
    ]
    focal: Annotated[
        Literal["given", "assumed"], says("`assumed`: the camera has no intrinsics; 1500 px were taken, so no true mm.")
    ]


# `class` is a keyword of Python.
Subject = TypedDict(
    "Subject",
    {
        "id": Annotated[int, says("Stable while tracked; never used twice in a run.", ge=1)],
        "class": Annotated[str, says("Such as `person` or `horse`.")],
        "score": Annotated[float, says("Of the detector; of the last detection when carried.", ge=0, le=1)],
        "box": Annotated[list[float], says("x0, y0, x1, y1 in px, clamped to the image.", min_length=4, max_length=4)],
        "keypoints": Annotated[list[Keypoint], says("In the order of `schema`; empty without a pose model.")],
        "schema": Annotated[str | None, says("Names the keypoints, such as `ap10k-17`; their order: keypoints.json.")],
        "carried": Annotated[bool, says("The box comes from the track, not from a detection in this frame.")],
        "bridged": NotRequired[
            Annotated[
                bool,
                says("True: hardly seen; a box too faint to count, where its track expects it, with keypoints in it."),
            ]
        ],
        "keypoints_smoothed": NotRequired[Annotated[list[Keypoint], says("For display, when configured.")]],
        "pose3d": NotRequired[Annotated[Pose3d, says("Of people, with `cameras.<name>.lift`.")]],
    },
)


class Poses(Stamp):
    """Everything seen in one frame. An empty frame has an empty list."""

    camera: str
    frame: Annotated[int, says("Counts captured frames; gaps are frames that were dropped.", ge=0)]
    image: Image
    subjects: list[Subject]
    degraded: Annotated[
        list[str], says("Why the image is not to be believed: dark, bright, flat, blurred; nobody is looked for then.")
    ]
    quality: Quality
    latency_ms: Annotated[float, says("From capture to result.")]
    source: NotRequired[Annotated[str, says("File that a recorded frame is from.")]]
    position: NotRequired[Annotated[int, says("Frame number in that file.", ge=0)]]


class StallNow(TypedDict):
    """A stall that is watched over."""

    posture: Literal["standing", "sternal", "lateral", "unknown"]
    head: Annotated[Literal["above", "level", "below", "unknown"], says("The nose against the base of the neck.")]
    doing: Annotated[list[str], says("`walking`, `paw`, `flank-look`, `roll`, `weave`, `thrash`, `box-walking`.")]
    at: Annotated[str | None, says("The zone its nose is in.")]
    horses: Count
    person: Annotated[bool, says("Somebody is in front of the camera, and has moved.")]
    foal: Annotated[
        Literal["standing", "sternal", "lateral", "unknown"] | None, says("Of the foal; null when it is not seen.")
    ]


class StallDay(TypedDict):
    """A day of a stall. What nobody saw is in no figure, and nothing is scaled up."""

    minutes: Annotated[
        dict[str, float], says("Per posture (`foal-…` of the foal), behaviour, head height, and zone (`at-feeder`).")
    ]
    counts: Annotated[dict[str, Count], says("`lie-down`, `rise`, and bouts of behaviours.")]
    seen_min: Annotated[float, says("Minutes in which the horse was seen well enough.")]
    bouts: Annotated[int, says("Times it lay, and rose again.", ge=0)]
    longest_min: Annotated[float, says("The longest of them.")]


class Gait(TypedDict):
    """How horses walked past, medians of the day: a trend, never a lameness score. Null: seen in no passage."""

    passages: Count
    stride_hz: float | None
    speed: Annotated[float | None, says("Body lengths per second.")]
    fore_ratio: Annotated[float | None, says("Time of the left fore's step over the right one's; 1: even.")]
    hind_ratio: Annotated[float | None, says("The same of the hind legs.")]


class State(Kept):
    """What goes on in front of a camera. Retained; sent when it changes."""

    camera: str
    view: Annotated[
        Literal["ok", "degraded", "lost", "unknown"], says("`unknown`: connecting, or nothing was processed lately.")
    ]
    degraded: Annotated[list[str], says("What is wrong with the image: dark, bright, flat, blurred.")]
    present: Annotated[dict[str, Count] | None, says("Subjects per class; null when nobody can tell.")]
    alerts: Annotated[list[str], says("Alerts of this camera that have not closed, oldest first.")]
    stall: Annotated[StallNow | None, says("Null without `[cameras.<name>.stall]`, and while nothing is seen.")]


class Daily(Kept):
    """One local day of a camera, in minutes. Retained; what nobody watched is in no figure."""

    camera: str
    date: Annotated[str, says("Local date of the box, ISO 8601.")]
    closed: Annotated[bool, says("The day is over, and this is its total.")]
    view_min: Annotated[dict[str, float], says("Minutes per view: ok, degraded, lost, unknown.")]
    present_min: Annotated[dict[str, float], says("Minutes with at least one subject of the class.")]
    most: Annotated[dict[str, Count], says("Most subjects of the class at a time.")]
    stall: Annotated[StallDay | None, says("Null without `[cameras.<name>.stall]`.")]
    gait: Annotated[Gait | None, says("Null without `[cameras.<name>.aisle]`.")]


class Alert(Kept):
    """One stage of an episode that a person should know of. Not retained."""

    alert: Annotated[str, says("The episode; the same from its opening to its closing.")]
    camera: str
    event_type: Annotated[str, says("Kind of episode, such as `camera-lost` or `view-degraded`.")]
    stage: Literal["open", "acknowledged", "snoozed", "closed"]
    severity: Literal["info", "warning", "critical"]
    since: Annotated[int, says("When it began to hold, UTC in ms.")]
    held_s: Annotated[int, says("How long it has held, in s.", ge=0)]
    reason: Annotated[str, says("In words.")]
    evidence: Annotated[dict[str, float] | None, says("Signs that speak for it, and how often or how long.")]
    coverage: Annotated[float | None, says("Share of the time looked at in which the horse was seen.")]
    reminders: Annotated[int, says("How often it was told again because nobody acknowledged it.", ge=0)]


class Percentiles(TypedDict):
    """In ms, over the last seconds."""

    p50: float
    p95: float
    p99: float
    max: float


class Ledger(TypedDict):
    """What became of every captured frame; captured = processed + dropped + failed + waiting."""

    captured: Count
    processed: Count
    dropped: Annotated[int, says("Overtaken by a newer one.", ge=0)]
    failed: Annotated[int, says("Given up: not decoded, or a model failed.", ge=0)]
    waiting: Count


class TrackFigures(TypedDict):
    """How steadily subjects keep their ids, over the last ten minutes."""

    alive: Annotated[int, says("In the latest frame.", ge=0)]
    new_per_min: Annotated[float, says("New ids per minute; many for few subjects mean lost tracks.")]
    median_s: Annotated[float | None, says("Median life of tracks that ended; null when none did.")]
    switches: Annotated[int, says("New ids within 2 s of a vanished one of the same class, overlapping its box.", ge=0)]


class CameraHealth(TypedDict):
    """One camera; rates are over the last ten seconds unless said otherwise."""

    state: Literal["connecting", "online", "lost", "ended"]
    reason: Annotated[str, says("In words; empty while all is well.")]
    since: Millis
    last_frame: Annotated[int | None, says("Capture of the last processed frame, UTC in ms; null before the first.")]
    fps_in: Annotated[float, says("Frames captured per second.")]
    fps: Annotated[float, says("Frames processed per second.")]
    fps_dropped: Annotated[float, says("Frames dropped per second.")]
    fps_mean: Annotated[float, says("Frames processed per second since start.")]
    reconnects_per_h: Annotated[int, says("Times that it came online again in the last hour.", ge=0)]
    losses_per_h: Annotated[int, says("Times that it was lost in the last hour, stalls included.", ge=0)]
    rescue: Annotated[str, says("What was asked of the system because it stays away, how often; empty: nothing.")]
    subjects: Annotated[int, says("In the latest frame.", ge=0)]
    latency_ms: Annotated[Percentiles | None, says("Capture to result; null when nothing was processed lately.")]
    stage_ms: Annotated[
        dict[str, Percentiles], says("Time per stage: wait, letterbox, gate, detect, decode, crop, pose, publish.")
    ]
    frames: Ledger
    degraded_share: Annotated[float | None, says("Part of the last ten minutes' frames that were not believed.")]
    detections_per_min: Annotated[float, says("Subjects found per minute, over the last ten minutes.")]
    confidence: Annotated[float | None, says("Mean detector score of the last ten minutes; null without detections.")]
    tracks: TrackFigures


class Process(TypedDict):
    """The daemon itself."""

    cpu_percent: Annotated[float, says("100: one core.")]
    rss_mb: int
    threads: int
    files: Annotated[int, says("Open descriptors.")]


class Gpu(TypedDict):
    """The GPU, from sysfs."""

    load_percent: float | None
    mhz: int | None


class Throttling(TypedDict):
    """Whether heat or current holds the board back."""

    now: Annotated[list[str], says("Cooling devices at work.")]
    events: Annotated[int, says("Over-current events since the health message before.", ge=0)]


class Slowed(TypedDict):
    """The rate has given way to heat or to the board's own protection."""

    step: Annotated[int, says("Of `heat.steps_hz`; 1 is the first.", ge=1)]
    most_hz: Annotated[float, says("Frames looked at per camera and second; the others are dropped and counted.")]
    reason: Annotated[str, says("In words, with the figure.")]
    since: Millis


class Box(TypedDict):
    """The computer. What it does not show is null."""

    uptime_s: int
    boot_reason: Annotated[str | None, says("Why it started last, as the board tells it.")]
    cpu_percent: Annotated[float, says("100: all cores.")]
    load: Annotated[float, says("Processes that run or wait, mean of a minute.")]
    memory_total_mb: int
    memory_free_mb: int
    swap_used_mb: int
    gpu_memory_mb: Annotated[int | None, says("Memory that the GPU has taken (NvMap).")]
    disk_free_mb: Annotated[int | None, says("Where models are stored.")]
    disk_used_percent: float | None
    temperature_c: Annotated[float | None, says("Of the hottest zone.")]
    temperatures_c: Annotated[dict[str, float], says("By thermal zone.")]
    throttling: Throttling | None
    slowed: Annotated[Slowed | None, says("Null while every frame may be looked at.")]
    gpu: Gpu | None
    power_w: Annotated[dict[str, float], says("By supply rail.")]
    fan_percent: float | None
    power_mode: Annotated[str | None, says("nvpmodel mode.")]
    pressure_percent: Annotated[
        dict[str, float] | None, says("Share of time that something waited for cpu, memory, io; mean of 10 s.")
    ]


class ClockHealth(TypedDict):
    """The wall clock."""

    synced: Annotated[bool, says("NTP, PTP or GPS keeps it.")]


class Problem(TypedDict):
    """Something that wants looking after."""

    what: Annotated[str, says("Such as `camera-lost`, `disk-nearly-full`, `clock-not-set`, `throttled`.")]
    where: Annotated[str, says("The camera, or `box`.")]
    detail: Annotated[str, says("In words, with the figure.")]
    since: Millis


class Stored(TypedDict):
    """Messages on disk that wait for the broker."""

    rows: Count
    unwritten: Annotated[int, says("Not yet on disk.", ge=0)]
    bytes: Count
    oldest_s: Annotated[int | None, says("Age of the oldest; null when none waits.")]
    durable: Annotated[bool, says("False: the disk is full or read-only, and a power cut loses them.")]
    torn: Annotated[int, says("Files that were damaged and put aside.", ge=0)]


class BusHealth(TypedDict):
    """The broker connection and what became of every message."""

    connected: bool
    protocol: Annotated[str | None, says("MQTT version in use; null while not connected.")]
    reconnects: Count
    accepted: Annotated[int, says("accepted = published + expired + dropped + failed + waiting.", ge=0)]
    published: Annotated[int, says("Written to the broker; with QoS 1, acknowledged.", ge=0)]
    acknowledged: Annotated[int, says("Of those published, with QoS 1.", ge=0)]
    expired: Annotated[int, says("Too old to be sent.", ge=0)]
    dropped: Annotated[int, says("Too many, or overtaken by newer state.", ge=0)]
    failed: Annotated[int, says("Refused by the broker.", ge=0)]
    waiting: Count
    refused: Annotated[int, says("Topics that the broker would not let us publish or listen to.", ge=0)]
    stored: Stored


class Health(Stamp):
    """How the box and its cameras are doing. Retained; every `publish.health_s`."""

    uptime_s: Annotated[int, says("Of the daemon.")]
    problems: Annotated[list[Problem], says("What wants looking after; empty when all is well.")]
    process: Process
    box: Box
    clock: ClockHealth
    cameras: dict[str, CameraHealth]
    bus: BusHealth
    models: Annotated[dict[str, Any], says("Plane, detector and pose models in use.")]


class Failure(TypedDict):
    """Why a command was not carried out."""

    what: Annotated[str, says("The part that is wrong.")]
    got: str
    wanted: str
    do: Annotated[str, says("What helps.")]


class Result(Stamp):
    """What became of a command. Sent to the response topic, or else to `cmd/<verb>/result`."""

    verb: str
    id: Annotated[str | None, says("As in the command; null when it gave none.")]
    ok: bool
    error: Failure | None
    data: Annotated[dict[str, Any], says("What the command found out; depends on the verb.")]
