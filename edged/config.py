"""The configuration tree: every key, with its default, unit, bounds and meaning.

`configfile.py` fills it from files, environment and credentials; configs/reference.toml is printed from it.
Nothing here reads anything.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

NAME = re.compile(r"^[a-z0-9][a-z0-9_-]{0,62}$")


def unit(name: str) -> dict[str, Any]:
    """The unit of a field, shown in the reference and in error messages."""
    return {"unit": name}


def _name(value: str) -> str:
    if not NAME.match(value):
        raise ValueError(
            "must be 1 to 63 of a-z 0-9 _ - and start with a letter or digit; it becomes a topic level"
        )
    return value


def _strict_bool(value: object) -> object:
    """Refuse "yes", 1 and the like: an environment variable says true or false."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise ValueError("must be true or false")


Name = Annotated[str, AfterValidator(_name)]
Flag = Annotated[bool, BeforeValidator(_strict_bool)]
Score = Annotated[float, Field(ge=0, le=1)]
Point = tuple[float, float]


class Section(BaseModel):
    """A table of the file. Unknown keys are errors; the tree never changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, hide_input_in_errors=False)


class Device(Section):
    """Who this box is."""

    id: Name | Literal["auto"] = Field(
        "auto", description="Topic level and MQTT client id. `auto` takes edged-<machine id, 8 hex digits>."
    )
    name: str = Field("", max_length=80, description="What people call the box.")


class Models(Section):
    """Which engines run, and where they are kept."""

    detector: Name = Field("det-person-horse", description="Catalogue card of the detector.")
    pose: dict[str, Name] = Field(
        {"person": "rtmpose-t-lsp14", "horse": "rtmpose-t-ap10k-horse"},
        description="Catalogue card of the pose model for each class. A class left out gets boxes only.",
    )
    store: Path = Field(
        Path("/var/lib/edged/models"), description="Where downloaded models and engines are kept."
    )
    mirror: Path | None = Field(
        None,
        description="Directory searched for model files before any download, for boxes without a network.",
    )
    catalogue: Path | None = Field(None, description="Directory of additional model cards (*.toml).")


class Compute(Section):
    """What the models run on."""

    plane: Literal["auto", "cpu", "cuda"] = Field(
        "auto",
        description="`cuda`: TensorRT. `cpu`: ONNX Runtime. `auto`: the best one present, announced.",
    )
    threads: int = Field(
        0,
        ge=0,
        le=64,
        json_schema_extra=unit("threads"),
        description="CPU plane: inference threads; 0 = all cores.",
    )


class Tls(Section):
    """Encryption of the broker connection."""

    enabled: Flag = Field(False, description="Use TLS.")
    ca: Path | None = Field(None, description="CA certificate (PEM). None: the system's store.")
    cert: Path | None = Field(None, description="Client certificate (PEM), for mutual TLS.")
    key: Path | None = Field(None, description="Client key (PEM, not password-protected), for mutual TLS.")

    @model_validator(mode="after")
    def _pair(self) -> Tls:
        if (self.cert is None) != (self.key is None):
            raise ValueError("cert and key go together; give both or neither")
        return self


class Mqtt(Section):
    """The broker."""

    host: str = Field("127.0.0.1", min_length=1, description="Broker host name or address.")
    port: int = Field(1883, ge=1, le=65535, description="Broker port; 8883 is usual with TLS.")
    base: str = Field(
        "edged",
        pattern=r"^[^/#+\s][^#+\s]*[^/#+\s]$",
        description="First topic level(s), before the device id.",
    )
    username: str = Field("", description="User name. Empty: anonymous or certificate identity.")
    password: SecretStr = Field(
        SecretStr(""), description="Password. Better kept in the credential `mqtt.password`."
    )
    protocol: Literal["auto", "5", "3.1.1"] = Field(
        "auto", description="MQTT version. `auto` tries 5 and falls back to 3.1.1 when the broker refuses it."
    )
    keepalive_s: int = Field(
        20,
        ge=5,
        le=300,
        json_schema_extra=unit("s"),
        description="A silent broker is noticed after 1.5 times this.",
    )
    reconnect_max_s: int = Field(
        60,
        ge=1,
        le=3600,
        json_schema_extra=unit("s"),
        description="Longest wait between reconnects (doubling, jittered).",
    )
    tls: Tls = Field(Tls(), description="Encryption.")

    @model_validator(mode="after")
    def _user_with_password(self) -> Mqtt:
        if self.password.get_secret_value() and not self.username:
            raise ValueError("password without username; give mqtt.username too")
        return self


class Publish(Section):
    """What is sent, and how often."""

    max_rate_hz: float = Field(
        30,
        gt=0,
        le=240,
        json_schema_extra=unit("Hz"),
        description="Most `poses` messages per camera and second.",
    )
    smoothed: Flag = Field(False, description="Add One-Euro smoothed keypoints beside the raw ones.")
    queue: int = Field(
        256,
        ge=8,
        le=65536,
        json_schema_extra=unit("messages"),
        description="Messages waiting for the broker; beyond, the oldest are dropped and counted.",
    )
    health_s: float = Field(
        30, ge=1, le=3600, json_schema_extra=unit("s"), description="Interval of the `health` message."
    )


class Intrinsics(Section):
    """Pinhole camera model, in pixels of the upright camera image."""

    fx: float = Field(gt=0, json_schema_extra=unit("px"), description="Focal length along x.")
    fy: float = Field(gt=0, json_schema_extra=unit("px"), description="Focal length along y.")
    cx: float = Field(json_schema_extra=unit("px"), description="Principal point x.")
    cy: float = Field(json_schema_extra=unit("px"), description="Principal point y.")
    distortion: tuple[float, ...] = Field(
        (), max_length=8, description="OpenCV order k1 k2 p1 p2 k3 k4 k5 k6."
    )


class FixedRegion(Section):
    """A stall where the subject is always there: this box is used, and no detector runs."""

    label: str = Field(min_length=1, description="Class of the subject.")
    box: tuple[float, float, float, float] = Field(
        json_schema_extra=unit("px"), description="x0 y0 x1 y1 in the upright camera image."
    )

    @model_validator(mode="after")
    def _ordered(self) -> FixedRegion:
        x0, y0, x1, y1 = self.box
        if x1 - x0 < 8 or y1 - y0 < 8:
            raise ValueError("box must be x0 y0 x1 y1 with x1 and y1 at least 8 px beyond x0 and y0")
        return self


class Gate(Section):
    """When an image is too bad to be believed. Such a frame is published with its figures and no subjects."""

    enabled: Flag = Field(True, description="Judge every frame.")
    min_brightness: float = Field(
        8, ge=0, le=255, json_schema_extra=unit("grey level"), description="Darker on average: `dark`."
    )
    max_brightness: float = Field(
        247, ge=0, le=255, json_schema_extra=unit("grey level"), description="Brighter on average: `bright`."
    )
    min_contrast: float = Field(
        6,
        ge=0,
        le=255,
        json_schema_extra=unit("grey level"),
        description="Smaller 5-95 % grey spread: `flat`.",
    )
    min_sharpness: float = Field(
        0.002,
        ge=0,
        le=10,
        json_schema_extra=unit("ratio"),
        description="Smaller Laplacian variance per grey variance: `blurred`.",
    )


class Track(Section):
    """How subjects keep their ids."""

    iou: float = Field(
        0.2, ge=0, le=1, description="Least overlap of a detection with a track's predicted box."
    )
    confirm: int = Field(
        2,
        ge=1,
        le=30,
        json_schema_extra=unit("detections"),
        description="Detections before a new track is published.",
    )
    patience_s: float = Field(
        2.0, ge=0, le=60, json_schema_extra=unit("s"), description="How long an unseen subject keeps its id."
    )


class Camera(Section):
    """One camera: where frames come from and what is looked for in them."""

    source: str = Field(
        min_length=1,
        description="`/dev/v4l/by-path/…` or a number, `rtsp://…`, `csi:0`, or a video, image or folder.",
    )
    enabled: Flag = Field(True, description="Use this camera.")
    username: str = Field("", description="RTSP user name, when not in the address.")
    password: SecretStr = Field(
        SecretStr(""), description="RTSP password. Better kept in the credential `cameras.<name>.password`."
    )
    format: Literal["auto", "mjpg", "yuyv", "nv12", "gray", "h264", "h265"] = Field(
        "auto", description="Pixel format (V4L2) or codec (RTSP) asked for."
    )
    size: tuple[int, int] | None = Field(
        None,
        json_schema_extra=unit("px"),
        description="Width and height asked of the sensor. None: its own choice.",
    )
    fps: float = Field(
        0,
        ge=0,
        le=240,
        json_schema_extra=unit("Hz"),
        description="Rate asked of the sensor; for files, the playing rate. 0: its own.",
    )
    rotate: Literal[0, 90, 180, 270] = Field(
        0, json_schema_extra=unit("degrees"), description="Clockwise turn that makes the image upright."
    )
    roi: tuple[int, int, int, int] | None = Field(
        None,
        json_schema_extra=unit("px"),
        description="x0 y0 x1 y1 of the part that is looked at. None: all of it.",
    )
    masks: tuple[tuple[Point, ...], ...] = Field(
        (), json_schema_extra=unit("px"), description="Polygons blanked before anything looks at the image."
    )
    intrinsics: Intrinsics | None = Field(None, description="Lens, for metric results.")
    open_timeout_s: float = Field(
        10, ge=0.5, le=120, json_schema_extra=unit("s"), description="Longest wait for the first frame."
    )
    stall_timeout_s: float = Field(
        5,
        ge=0.2,
        le=300,
        json_schema_extra=unit("s"),
        description="No frame for this long: the camera is lost and re-opened.",
    )
    retry_max_s: float = Field(
        30,
        ge=0.1,
        le=3600,
        json_schema_extra=unit("s"),
        description="Longest wait between re-opens (doubling, jittered).",
    )
    realtime: Flag = Field(
        True,
        description="Files: play at the recorded rate, dropping what is late. False: every frame, in order.",
    )
    loop: Flag = Field(False, description="Files: start again at the end.")

    classes: tuple[str, ...] | None = Field(
        None, description="Classes published. None: all that the detector knows and a pose model exists for."
    )
    thresholds: dict[str, Score] = Field(
        {}, description="Least detector score per class. A class left out uses its card's."
    )
    mode: Literal["multi", "single", "adaptive"] = Field(
        "multi", description="All subjects; the one best subject; or all until frames are late, then one."
    )
    pick: Literal["largest", "central"] = Field("largest", description="Which subject `single` keeps.")
    max_subjects: int = Field(
        16,
        ge=1,
        le=64,
        json_schema_extra=unit("subjects"),
        description="Most subjects per frame, best scores first.",
    )
    detector_interval: int = Field(
        1,
        ge=1,
        le=60,
        json_schema_extra=unit("frames"),
        description="Detect on every n-th frame; tracks carry boxes between.",
    )
    fixed: FixedRegion | None = Field(None, description="Use this box instead of the detector.")
    gate: Gate = Field(Gate(), description="Blur and darkness limits.")
    track: Track = Field(Track(), description="Tracking.")

    @property
    def kind(self) -> Literal["v4l2", "rtsp", "csi", "files"]:
        """Which adapter the source names."""
        scheme = urlsplit(self.source).scheme
        if scheme in ("rtsp", "rtsps"):
            return "rtsp"
        if scheme == "csi":
            return "csi"
        if self.source.isdigit() or self.source.startswith("/dev/"):
            return "v4l2"
        return "files"

    @model_validator(mode="after")
    def _consistent(self) -> Camera:
        scheme = urlsplit(self.source).scheme
        if scheme and "://" in self.source and scheme not in ("rtsp", "rtsps"):
            raise ValueError(
                f"source scheme {scheme}:// is not supported; use rtsp://, csi:N, a device or a path"
            )
        if scheme == "csi" and not self.source[4:].isdigit():
            raise ValueError(f"source is {self.source!r}; want csi:<sensor number>, as in csi:0")
        if self.size is not None and not (16 <= self.size[0] <= 16384 and 16 <= self.size[1] <= 16384):
            raise ValueError(f"size is {list(self.size)}; want [width, height], each 16 to 16384 px")
        if self.roi is not None and not (0 <= self.roi[0] < self.roi[2] and 0 <= self.roi[1] < self.roi[3]):
            raise ValueError(f"roi is {list(self.roi)}; want [x0, y0, x1, y1] with x0 < x1 and y0 < y1")
        if any(len(polygon) < 3 for polygon in self.masks):
            raise ValueError("masks: a polygon needs at least 3 points")
        return self


class Config(Section):
    """The whole file."""

    version: Literal[1] = Field(1, description="Format of this file.")
    device: Device = Field(Device(), description="Who this box is.")
    models: Models = Field(Models(), description="Which engines run.")
    compute: Compute = Field(Compute(), description="What they run on.")
    mqtt: Mqtt = Field(Mqtt(), description="The broker.")
    publish: Publish = Field(Publish(), description="What is sent.")
    cameras: dict[Name, Camera] = Field({}, description="The cameras, by name; the name is a topic level.")
