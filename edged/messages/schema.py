"""The body of every message of a camera, field by field; `health_schema` has the device's health.

These types are the source: builders are checked against them, and the JSON Schemas, the AsyncAPI document and
the reference are generated from them. An added field keeps `v`; removing one, or changing what it means, raises it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field
from typing_extensions import NotRequired, TypedDict

MESSAGE_VERSION: Literal[1] = 1
UtcMs = Annotated[int, Field(description="UTC, milliseconds since 1970.")]
Count = Annotated[int, Field(ge=0)]
CameraPhase = Literal["connecting", "online", "lost", "ended", "off"]
Posture = Literal["standing", "sternal", "lateral", "unknown"]


def field(description: str, **bounds: Any) -> Any:
    """A field's description, and the bounds of its value."""
    return Field(description=description, **bounds)


class Header(TypedDict):
    """The first fields of every message."""

    v: Annotated[Literal[1], field("Version of the message format.")]
    ts: Annotated[
        int | None, field("Time of the content, UTC in ms; of `poses` the capture time. Null in a last will.")
    ]
    time_synced: Annotated[bool, field("The clock is synchronised (NTP, PTP or GPS). If false, `ts` may be far off.")]
    seq: Annotated[int, field("Counts the messages of this topic since the daemon started.", ge=0)]


class StoredMessage(Header):
    """A message that survives an outage on disk."""

    id: Annotated[str, field("Of this message; the same in a repeated delivery.")]
    stored: NotRequired[Annotated[bool, field("True: it waited on disk for the broker; `ts` is the original time.")]]
    superseded: NotRequired[
        Annotated[bool, field("True: stored, and a later one of the same topic (and alert) waits behind it.")]
    ]


class Status(Header):
    """Whether the device is online; also the last will. Retained."""

    state: Annotated[
        Literal["online", "offline", "stopped"],
        field("`stopped`: on purpose. `offline`: the broker lost the connection."),
    ]


class CameraInfo(TypedDict):
    """Configuration of one camera, without its address. The size of its images is in its `status`."""

    kind: Literal["v4l2", "rtsp", "csi", "files"]
    classes: Annotated[list[str], field("That are looked for.")]
    fps: Annotated[float | None, field("Requested rate; null: the camera's own.")]
    roi: Annotated[list[int] | None, field("x0, y0, x1, y1 of the part that is processed, in px; null: all of it.")]
    stall: Annotated[bool, field("A stall is monitored: its messages have `stall`.")]
    mode: Literal["multi", "single", "adaptive"]
    detector_interval: Annotated[int, field("The detector runs on every n-th frame.", ge=1)]
    static_region: Annotated[
        dict[str, Any] | None, field("Class and box of a static region, where no detector runs; else null.")
    ]
    aiming_until_ts: NotRequired[
        Annotated[int, field("A technician may see its pictures until then, although `images` is off. UTC in ms.")]
    ]


class EngineBuild(TypedDict):
    """Status of the TensorRT engine of one model."""

    phase: Literal["waiting", "preparing", "building", "ready", "unverified", "failed"]
    reason: Annotated[str, field("Why it failed, is not used, or is in another precision than asked for; else empty.")]
    progress: Annotated[float | None, field("Of the build, 0..1.")]
    remaining_s: Annotated[float | None, field("Estimated time to the end of the build.")]
    key: Annotated[str | None, field("Of the engine: a digest of the model, the GPU and the versions.")]
    rebuild_reason: Annotated[str, field("Why an engine built here before is not usable; else empty.")]
    previous_build_s: Annotated[float | None, field("How long the build before took.")]


class Models(TypedDict):
    """The models in use, and what runs them."""

    backend: Literal["cpu", "cuda"]
    threads: NotRequired[Annotated[int | None, field("Of each model on the CPU.", ge=1)]]
    frames_at_once: NotRequired[Annotated[int, field("Of as many cameras, on the CPU.", ge=1)]]
    cpu_precision: NotRequired[Annotated[str, field("Of models on the CPU that have it: `fp32`, `int8` or `bf16`.")]]
    cpu_reason: NotRequired[Annotated[str, field("Why they run on that library and in that precision; may be empty.")]]
    frame_access: NotRequired[Annotated[str, field("How the GPU reads frames: `mapped` or `copied`.")]]
    cuda_graphs: NotRequired[bool]
    detector: str
    pose: Annotated[dict[str, str], field("Pose model per class.")]
    lift: Annotated[str | None, field("3D model of people.")]
    root: Annotated[str | None, field("Depth model of people.")]
    service_level: Annotated[
        Literal["poses", "boxes", "cameras"],
        field("What works: poses; boxes without pose models; the cameras alone without a detector."),
    ]
    runtime_by_model: Annotated[dict[str, str], field("`tensorrt`, `onnxruntime`, `openvino`, or `nothing`.")]
    missing: Annotated[dict[str, str], field("Models that could not be loaded, and why.")]
    engines: dict[str, EngineBuild]


class ModelsInfo(Models):
    classes: Annotated[list[str], field("That the detector knows.")]
    keypoints: Annotated[dict[str, list[str]], field("Names of the keypoints, in order, by `schema`, of these models.")]
    starter: Annotated[list[str], field("Models in use that come with the package: for trials, not for work.")]


class Info(Header):
    """Versions, models and cameras of the device. Retained; sent at start and after a reload."""

    version: Annotated[str, field("Of the daemon.")]
    name: Annotated[str, field("Display name of the device.")]
    system: Annotated[dict[str, str], field("Operating system, Python and libraries, with versions.")]
    models: ModelsInfo
    cameras: dict[str, CameraInfo]


class ImageSize(TypedDict):
    """Size of the camera image, in px; the origin is its top-left corner."""

    w: Annotated[int, Field(gt=0)]
    h: Annotated[int, Field(gt=0)]


class CameraStatus(Header):
    """State of a camera, and the reason for it. Retained; sent when it changes."""

    camera: str
    state: Annotated[CameraPhase, field("`ended`: a file. `off`: switched off, see `switches`.")]
    reason: Annotated[str, field("In words; empty without a fault.")]
    since_ts: UtcMs
    image: Annotated[ImageSize | None, field("Size of its images; null while it is not online.")]


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


_POSITION = "From above: right of the camera, ahead of it; level by `intrinsics.tilt_deg`. Smoothed. Needs intrinsics."


class Keypoints3d(TypedDict):
    """A person in the camera's space, in mm: a joint lies at `root_mm` plus its row of `xyz_mm`."""

    xyz_mm: Annotated[list[Millimetres], field("From the root joint, in the order of `schema`.")]
    root_mm: Annotated[Millimetres, field("The root joint, from the camera: x right, y down, z forward.")]
    schema: Annotated[str, field("Names the joints, such as `h36m-18`; their root is the pelvis.")]
    depth_source: Annotated[
        Literal["rootnet", "heuristic"],
        field("How the distance of `root_mm` was found. `heuristic`: from the size of the box alone."),
    ]
    focal_source: Annotated[
        Literal["given", "assumed"],
        field("`assumed`: the camera has no intrinsics; 1500 px were taken, so mm are not to scale."),
    ]
    xyz_smoothed_mm: NotRequired[Annotated[list[Millimetres], field("`xyz_mm` for display, when configured.")]]
    root_smoothed_mm: NotRequired[Annotated[Millimetres, field("`root_mm` for display, when configured.")]]
    distance_m: NotRequired[Annotated[float, field("From camera to root joint, smoothed. With intrinsics only.", ge=0)]]
    distance_error_m: NotRequired[
        Annotated[
            float | None,
            field(
                "Two in three distances were nearer to the truth when the models were measured; null: these were not. "
                "With intrinsics only.",
                ge=0,
            ),
        ]
    ]
    position_m: NotRequired[Annotated[list[float], field(_POSITION, min_length=2, max_length=2)]]


# `class` is a keyword of Python.
Subject = TypedDict(
    "Subject",
    {
        "id": Annotated[int, field("Stable while tracked; never used twice in a run.", ge=1)],
        "class": Annotated[str, field("Such as `person` or `horse`; may change while `id` stays.")],
        "score": Annotated[
            float,
            field(
                "How likely the box shows a subject: `detection_score`, confirmed or refuted by the keypoints where "
                "the pose model's card says how; in a static region the mean score of the keypoints.",
                ge=0,
                le=1,
            ),
        ],
        "detection_score": Annotated[
            float | None,
            field("Of the detector, from the last detection as `class`; null in a static region.", ge=0, le=1),
        ],
        "box": Annotated[list[float], field("x0, y0, x1, y1 in px, clamped to the image.", min_length=4, max_length=4)],
        "box_source": Annotated[
            Literal["detected", "tracked", "region", "held"],
            field(
                "`detected`: by the detector in this frame. `tracked`: predicted from earlier frames. "
                "`region`: the static region of the configuration. `held`: of an earlier frame, box and keypoints: "
                "nothing in the image has moved since, and no model ran (`motion_gate`)."
            ),
        ],
        "keypoints": Annotated[
            list[Keypoint], field("In the order of `schema`; empty if the class has no pose model.")
        ],
        "schema": Annotated[
            str | None,
            field("Names the keypoints, such as `ap10k-17`; their order: keypoints.json. Null: `keypoints` is empty."),
        ],
        "keypoints_smoothed": NotRequired[Annotated[list[Keypoint], field("For display, when configured.")]],
        "keypoints_3d": NotRequired[Annotated[Keypoints3d, field("Of people, with `cameras.<name>.lift`.")]],
    },
)


class Poses(Header):
    """All subjects of one frame. A frame without subjects has an empty list."""

    camera: str
    frame: Annotated[int, field("Counts captured frames; gaps are frames that were dropped.", ge=0)]
    image: ImageSize
    subjects: list[Subject]
    degraded: Annotated[
        list[str],
        field(
            "What is wrong with the image: dark, bright, flat, blurred; damaged: the stream has lost a part of it. "
            "It has no subjects then."
        ),
    ]
    quality: Quality
    latency_ms: Annotated[float, field("From capture to result.")]
    source: NotRequired[Annotated[str, field("File of a recorded frame.")]]
    position: NotRequired[Annotated[int, field("Frame number in that file.", ge=0)]]
    source_ms: NotRequired[
        Annotated[
            float,
            field("Time in that file, in ms from its first frame. Not in images.", ge=0),
        ]
    ]


class StallState(TypedDict):
    """State of a stall."""

    posture: Annotated[Posture, field("What the last 6 s show, so it follows with a delay of some seconds.")]
    head_height: Annotated[
        Literal["above", "level", "below", "unknown"], field("Of the nose, relative to the base of the neck.")
    ]
    behaviours: Annotated[
        list[str],
        field(
            "`walking`, `paw`, `flank-look`, `weave`, `box-walking`: never while it lies. `roll`, `thrash`: never "
            "while it stands."
        ),
    ]
    zone: Annotated[str | None, field("The zone of the nose.")]
    horse_count: Annotated[int, field("Horses on the floor of the stall in the latest frame.", ge=0)]
    person_present: Annotated[bool, field("A person is in the image and has moved.")]
    foal_posture: Annotated[Posture | None, field("Null when no foal is visible.")]


class StallDay(TypedDict):
    """A day of a stall. Time in which the horse was not visible is in no figure; nothing is extrapolated."""

    minutes: Annotated[
        dict[str, float],
        field(
            "While the horse was visible: per posture (`foal-…` of the foal), behaviour, head height (`head-below`), "
            "zone (`at-feeder`), and `person` or `alone`: with a person in the stall, or without. Missing: 0."
        ),
    ]
    event_counts: Annotated[dict[str, Count], field("`lie-down`, `rise`, and bouts of behaviours.")]
    observed_minutes: Annotated[float, field("Minutes in which the horse was visible enough.")]
    lying_bouts: Annotated[int, field("Times the horse lay down and rose again.", ge=0)]
    longest_lying_minutes: Annotated[float, field("The longest of these bouts.")]


class Gait(TypedDict):
    """Medians of the day over all passages of horses: a trend, not a lameness score. Null: in no passage."""

    passages: Count
    stride_hz: float | None
    body_lengths_per_s: Annotated[float | None, field("Speed.")]
    fore_ratio: Annotated[float | None, field("Step time of the left fore over that of the right fore; 1: even.")]
    hind_ratio: Annotated[float | None, field("The same for the hind legs.")]


class OpenAlert(TypedDict):
    """An alert that has not closed."""

    alert_id: str
    event_type: str
    stage: Literal["open", "acknowledged", "snoozed"]
    severity: Literal["info", "warning", "critical"]
    since_ts: UtcMs
    reason: Annotated[str, field("In words.")]


class State(StoredMessage):
    """State of the scene before a camera. Retained; sent when it changes, of a stall alone at most every 2 s.

    Three rules for programs. A retained state stays when its device is gone: read `status` too, and forget the
    cameras of a device that is not `online`. With a `view` other than `ok` nothing is known. `stall` is null then, and
    where no stall is monitored.
    """

    camera: str
    view: Annotated[
        Literal["ok", "degraded", "lost", "unknown"],
        field("`unknown`: connecting, or no frame was processed lately."),
    ]
    degraded: Annotated[list[str], field("What is wrong with the image: dark, bright, flat, blurred, damaged.")]
    counts: Annotated[
        dict[str, Count] | None,
        field(
            "Subjects per class in the whole image, most of the last 3 s; null when `view` is not `ok`. "
            "Of a stall without `person`: `stall.person_present` answers that."
        ),
    ]
    alert_ids: Annotated[list[str], field("Alerts of this camera that have not closed, oldest first.")]
    alerts: Annotated[list[OpenAlert], field("The same alerts, each as it is now.")]
    stall: Annotated[StallState | None, field("Null without `[cameras.<name>.stall]`, and when `view` is not `ok`.")]


class Daily(StoredMessage):
    """Totals of one local day of a camera. Retained; time without an observation is in no figure."""

    camera: str
    date: Annotated[str, field("Local date of the device, ISO 8601.")]
    closed: Annotated[bool, field("The day is over, and this is its total. A date is closed once.")]
    view_minutes: Annotated[dict[str, float], field("Minutes per view: ok, degraded, lost, unknown.")]
    presence_minutes: Annotated[
        dict[str, float], field("Minutes with at least one subject of the class; in a stall a `person` must move.")
    ]
    max_count: Annotated[
        dict[str, Count], field("Most subjects of the class at a time; of `person` in a stall at most 1.")
    ]
    stall: Annotated[StallDay | None, field("Null without `[cameras.<name>.stall]`.")]
    gait: Annotated[Gait | None, field("Null without `[cameras.<name>.aisle]`.")]


class Alert(StoredMessage):
    """One stage of an alert. Not retained."""

    alert_id: Annotated[str, field("The same from the opening of the alert to its closing.")]
    camera: str
    event_type: Annotated[str, field("Kind of alert, such as `camera-lost` or `colic-suspected`.")]
    stage: Literal["open", "acknowledged", "snoozed", "closed"]
    severity: Literal["info", "warning", "critical"]
    since_ts: Annotated[int, field("Begin of the condition, UTC in ms.")]
    duration_s: Annotated[int, field("How long the condition has lasted, as far as was seen.", ge=0)]
    reason: Annotated[str, field("In words; when nobody can see whether it still holds, also why.")]
    evidence: Annotated[dict[str, float] | None, field("Signs that support the alert, and how often or how long.")]
    coverage: Annotated[float | None, field("Share of the observed time in which the horse was visible.")]
    reminders: Annotated[int, field("How often the alert was repeated without an acknowledgement.", ge=0)]
    test: NotRequired[Annotated[bool, field("True: nothing has happened; the command `test-alert` asked for it.")]]


class CommandError(TypedDict):
    """Why a command was not carried out."""

    what: Annotated[str, field("The part that is wrong.")]
    got: str
    wanted: str
    do: Annotated[str, field("What helps.")]


class Result(Header):
    """Result of a command. Sent to `cmd/<command>/result`, or to the response topic where that is allowed."""

    command: str
    id: Annotated[str | None, field("As in the command; null when it gave none.")]
    ok: bool
    error: CommandError | None
    data: Annotated[dict[str, Any], field("Depends on the command; see the commands.")]
