"""The configuration tree: every key, with its default, unit, bounds and meaning.

`configfile` fills it from files, environment and credentials; configs/reference.toml is printed from it.
Nothing here reads anything.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    Field,
    SecretStr,
    model_validator,
)

from edged.config.tables.device import ThrottleConfig
from edged.config.tables.stall import AisleConfig, StallConfig
from edged.config.types import (
    Area,
    Box,
    CommandName,
    FilePath,
    Flag,
    Grey,
    Hertz,
    ImageSide,
    Int,
    Name,
    Number,
    Polygon,
    Px,
    Score,
    Seconds,
    Section,
    Topic,
    check_host,
    unit,
)
from edged.frame import QualityLimits


def _check_source(value: str) -> str:
    if not value.isprintable():
        raise ValueError("must be one line of printable text")
    if value.startswith("csi:") and not value[4:].isdecimal():
        raise ValueError("must be csi:<sensor number>; write csi:0 for the first sensor")
    if value.startswith(("rtsp:", "rtsps:")) and not _is_rtsp_url(value):
        raise ValueError("must be rtsp://host[:port]/path; in a password write %23 %2F %3F %40 for # / ? @")
    if "://" in value and not value.startswith(("rtsp:", "rtsps:")):
        raise ValueError("must be rtsp://…, rtsps://…, csi:N, a device or a path; other addresses cannot be opened")
    return value


def _is_rtsp_url(url: str) -> bool:
    try:
        return bool((parts := urlsplit(url)).hostname) and parts.port != 0
    except ValueError:  # a port that is no number, a bracket that is not closed
        return False


class DeviceConfig(Section):
    """Who this box is."""

    id: Name = Field(
        "auto", description="Topic level and MQTT client id. `auto` takes edged-<machine id, 8 hex digits>."
    )
    name: str = Field("", max_length=80, description="What people call the box.")
    state: FilePath = Field(
        Path("/var/lib/edged"),
        description="Directory of what must survive a restart: messages that wait for the broker, today's totals.",
    )

    reboots: Int = Field(
        2,
        ge=0,
        le=10,
        json_schema_extra=unit("reboots"),
        description="Most reboots asked for while no camera comes back although Argus or its USB port was reset; a day "
        "with a camera online gives one back. 0: never.",
    )


class ModelsConfig(Section):
    """Which engines run, and where they are kept."""

    detector: Name = Field("det-person-horse", description="Catalogue card of the detector.")
    pose: dict[str, Name] = Field(
        {"person": "rtmpose-t-lsp14", "horse": "rtmpose-t-ap10k-horse"},
        description="Catalogue card of the pose model for each class. A class left out gets boxes only.",
    )
    lift: Name | None = Field(
        None,
        description="Catalogue card of the 3D model, for cameras with `lift = true`. It knows people only.",
        examples=["convnextpose-s"],
    )
    root: Name | None = Field(
        None,
        description="Catalogue card of RootNet, which tells how far away people are. Left out: their boxes' size does.",
        examples=["rootnet"],
    )
    store: FilePath = Field(Path("/var/lib/edged/models"), description="Where downloaded models and engines are kept.")
    mirror: FilePath | None = Field(
        None,
        description="Directory searched for model files before any download, for boxes without a network.",
        examples=["/media/usb/models"],
    )
    catalogue: FilePath | None = Field(
        None, description="Directory of additional model cards (*.toml).", examples=["/etc/edged/catalogue"]
    )

    @model_validator(mode="after")
    def _check_root(self) -> ModelsConfig:
        if self.root is not None and self.lift is None:
            raise ValueError("root must come with a 3D model; give models.lift too")
        return self

    @property
    def card_names(self) -> tuple[str, ...]:
        """The names of all in use."""
        return tuple(name for name in (self.detector, *self.pose.values(), self.lift, self.root) if name is not None)


class ComputeConfig(Section):
    """What the models run on."""

    plane: Literal["auto", "cpu", "cuda"] = Field(
        "auto",
        description="`cuda`: frames stay on the GPU; refused where there is none. `cpu`: they do not, whatever runs "
        "the models. `auto`: on the GPU once every model has an engine, announced.",
    )
    threads: Int = Field(
        0, ge=0, le=64, json_schema_extra=unit("threads"), description="CPU plane: inference threads; 0 = all cores."
    )


class EnginesConfig(Section):
    """How TensorRT engines are built."""

    tensorrt: Literal["auto", "off", "tensorrt-rtx"] = Field(
        "auto",
        description="`auto`: engines are built in the background where TensorRT and a GPU are. "
        "`tensorrt-rtx`: built with that, to try it.",
    )

    level: Int = Field(
        3,
        ge=0,
        le=5,
        description="TensorRT's optimization level: 0 builds soonest, 5 runs fastest.",
    )
    workspace_mb: Int = Field(
        0,
        ge=0,
        le=65536,
        json_schema_extra=unit("MB"),
        description="Memory that a build may use on the GPU; less helps small boards. 0: as suits the board.",
    )
    quick_first: Flag = Field(
        False,
        description="Build every engine at level 0 first, to serve from the GPU soonest, then again at `level`.",
    )
    quota_mb: Int = Field(
        2048,
        ge=0,
        le=1048576,
        json_schema_extra=unit("MB"),
        description="Room for engines that are kept to go back to; the ones in use are always kept.",
    )


class TlsConfig(Section):
    """Encryption of the broker connection."""

    enabled: Flag = Field(False, description="Use TLS.")
    ca: FilePath | None = Field(
        None, description="CA certificate (PEM). Left out: the system's store.", examples=["/etc/edged/ca.pem"]
    )
    cert: FilePath | None = Field(
        None, description="Client certificate (PEM), for mutual TLS.", examples=["/etc/edged/client.pem"]
    )
    key: FilePath | None = Field(
        None,
        description="Client key (PEM, not password-protected), for mutual TLS.",
        examples=["/etc/edged/client.key"],
    )

    @model_validator(mode="after")
    def _check_pair(self) -> TlsConfig:
        if (self.cert is None) != (self.key is None):
            raise ValueError("cert and key must come together; give both or neither")
        return self


class MqttConfig(Section):
    """The MQTT broker."""

    host: Annotated[str, AfterValidator(check_host)] = Field(
        "127.0.0.1", min_length=1, description="Broker host name or address."
    )
    port: Int = Field(1883, ge=1, le=65535, description="Broker port; 8883 is usual with TLS.")
    base: Topic = Field("edged", description="First topic level(s), before the device id.")
    username: str = Field("", description="User name. Empty: anonymous or certificate identity.")
    password: SecretStr = Field(SecretStr(""), description="Password. Better kept in the credential `mqtt.password`.")
    protocol: Literal["auto", "5", "3.1.1"] = Field(
        "auto", description="MQTT version. `auto` tries 5 and falls back to 3.1.1 when the broker refuses it."
    )
    keepalive_s: Int = Field(
        20, ge=5, le=300, json_schema_extra=unit("s"), description="A silent broker is noticed after 1.5 times this."
    )
    reconnect_max_s: Int = Field(
        60,
        ge=1,
        le=3600,
        json_schema_extra=unit("s"),
        description="Longest wait between attempts at a broker that refuses us; one that is away is sought every 3 s.",
    )
    tls: TlsConfig = TlsConfig()

    @model_validator(mode="after")
    def _check_username(self) -> MqttConfig:
        if self.password.get_secret_value() and not self.username:
            raise ValueError("password must come with a username; give mqtt.username too")
        return self


class PublishConfig(Section):
    """What is sent, and how often."""

    max_rate_hz: Hertz = Field(30, ge=0.001, le=240, description="Most `poses` messages per camera and second.")
    encoding: Literal["json", "cbor"] = Field(
        "json",
        description="Of `poses`. `cbor`: the same in half the bytes, whole numbers; see the MQTT reference.",
    )
    smoothed: Flag = Field(False, description="Add One-Euro smoothed keypoints beside the raw ones.")
    queue: Int = Field(
        256,
        ge=8,
        le=65536,
        json_schema_extra=unit("messages"),
        description="Messages waiting for the broker; beyond, the oldest are dropped and counted.",
    )
    health_s: Seconds = Field(30, ge=1, le=3600, description="Interval of the `health` message.")
    daily_s: Seconds = Field(900, ge=10, le=86400, description="Interval of the `daily` messages of the running day.")
    keep_mb: Int = Field(
        16,
        ge=1,
        le=4096,
        json_schema_extra=unit("MB"),
        description="Alerts, totals and states kept on disk while the broker is away; beyond, the oldest are dropped.",
    )
    keep_days: Number = Field(
        7, gt=0, le=365, json_schema_extra=unit("days"), description="How long they are kept at most."
    )


class HomeAssistantConfig(Section):
    """Discovery, so that Home Assistant finds the box and its cameras by itself."""

    enabled: Flag = Field(False, description="Announce them. Switched off again, they are removed there.")
    prefix: Topic = Field("homeassistant", description="Discovery prefix, as set in Home Assistant.")


class PrometheusConfig(Section):
    """Health as metrics over HTTP, for those who scrape."""

    enabled: Flag = Field(False, description="Serve http://HOST:PORT/metrics.")
    host: Annotated[str, AfterValidator(check_host)] = Field(
        "127.0.0.1", min_length=1, description="Address to listen on; nothing asks for a password."
    )
    port: Int = Field(9464, ge=0, le=65535, description="Port to listen on; 0 takes any free one.")


class CommandsConfig(Section):
    """What the box may be told to do over MQTT. With an empty list it does not even listen."""

    allow: tuple[CommandName, ...] = Field(
        ("acknowledge", "snooze"),
        description="Commands obeyed. These two only answer an alert; `snapshot`, `day` and `diagnose` show more of "
        "the box, `restart-camera`, `set-rate` and `reload` change what it does.",
    )
    snapshot_kb: Int = Field(
        256,
        ge=16,
        le=16384,
        json_schema_extra=unit("kB"),
        description="Largest picture sent; a larger one is made coarser, then smaller, until it fits.",
    )


class IntrinsicsConfig(Section):
    """Pinhole camera model, in pixels of the upright camera image; for metric results."""

    fx: Px = Field(gt=0, description="Focal length along x.", examples=[912.4])
    fy: Px = Field(gt=0, description="Focal length along y.", examples=[911.8])
    cx: Px = Field(description="Principal point x.", examples=[640.2])
    cy: Px = Field(description="Principal point y.", examples=[358.7])
    distortion: tuple[Number, ...] = Field((), max_length=8, description="OpenCV order k1 k2 p1 p2 k3 k4 k5 k6.")


class StaticRegionConfig(Section):
    """A stall where the subject is always there: this box is used, and no detector runs."""

    label: str = Field(min_length=1, description="Class of the subject.", examples=["horse"])
    box: Box = Field(description="x0 y0 x1 y1 in the upright camera image.", examples=[[40, 60, 1240, 700]])


class QualityConfig(Section):
    """When an image is too bad to be believed. Such a frame is published with its figures and no subjects.

    Beyond the limits more subjects are missed than seen (`python -m tools.robustness`), and "nobody" would be untrue.
    """

    enabled: Flag = Field(True, description="Judge every frame.")
    min_brightness: Grey = Field(6, description="Darker on average: `dark`.")
    max_brightness: Grey = Field(250, description="Brighter on average: `bright`.")
    min_contrast: Grey = Field(6, description="Smaller 5-95 % grey spread: `flat`.")
    min_sharpness: Number = Field(
        0.003,
        ge=0,
        le=10,
        description="Smaller Laplacian variance per grey variance: `blurred`.",
    )

    @model_validator(mode="after")
    def _check_brightness(self) -> QualityConfig:
        if self.min_brightness >= self.max_brightness:
            raise ValueError("min_brightness must be below max_brightness; lower the one or raise the other")
        return self

    @property
    def limits(self) -> QualityLimits:
        if not self.enabled:
            return QualityLimits()
        return QualityLimits(
            min_brightness=self.min_brightness,
            max_brightness=self.max_brightness,
            min_contrast=self.min_contrast,
            min_sharpness=self.min_sharpness,
        )


class TrackConfig(Section):
    """How subjects keep their ids."""

    iou: Number = Field(0.2, ge=0, le=1, description="Least overlap of a detection with a track's predicted box.")
    confirm: Int = Field(
        2, ge=1, le=30, json_schema_extra=unit("detections"), description="Detections before a new track is published."
    )
    patience_s: Seconds = Field(2.0, ge=0, le=60, description="How long an unseen subject keeps its id.")
    bridge_s: Seconds = Field(
        0,
        ge=0,
        le=5,
        description="How long one that the detector hardly sees is still posed where its track expects it, and "
        "published as `bridged`. 0: not at all.",
    )


class CameraConfig(Section):
    """One camera: where frames come from and what is looked for in them."""

    source: Annotated[str, AfterValidator(_check_source)] = Field(
        min_length=1,
        description="`/dev/v4l/by-path/…` or a number, `rtsp://…`, `csi:0`, or a video, image or folder.",
        examples=["rtsp://192.168.1.40/stream1"],
    )
    enabled: Flag = Field(True, description="Use this camera.")
    username: str = Field("", description="RTSP user name, when not in the address.")
    password: SecretStr = Field(
        SecretStr(""), description="RTSP password. Better kept in the credential `cameras.<name>.password`."
    )
    format: Literal["auto", "mjpg", "yuyv", "nv12", "gray", "h264", "h265"] = Field(
        "auto", description="Pixel format (V4L2) or codec (RTSP) asked for."
    )
    size: tuple[ImageSide, ImageSide] | None = Field(
        None,
        json_schema_extra=unit("px"),
        description="Width and height asked of the sensor. Left out: its own choice.",
        examples=[[1280, 720]],
    )
    fps: Hertz = Field(
        0, ge=0, le=240, description="Rate asked of the sensor; for files, the playing rate. 0: its own."
    )
    rotate: Literal[0, 90, 180, 270] = Field(
        0, json_schema_extra=unit("degrees"), description="Clockwise turn that makes the image upright."
    )
    roi: Area | None = Field(
        None,
        description="x0 y0 x1 y1 of the part that is looked at. Left out: all of it.",
        examples=[[0, 120, 1280, 720]],
    )
    images: Flag = Field(
        False, description="Pictures of this camera may leave the box, for whom `commands.allow` lets have them."
    )
    masks: tuple[Polygon, ...] = Field(
        (),
        json_schema_extra=unit("px"),
        description="Polygons blanked before anything looks at the image.",
        examples=[[[[0, 0], [320, 0], [0, 240]]]],
    )
    intrinsics: IntrinsicsConfig | None = None
    open_timeout_s: Seconds = Field(10, ge=0.5, le=120, description="Longest wait for the first frame.")
    stall_timeout_s: Seconds = Field(
        5, ge=0.2, le=300, description="No frame for this long: the camera is lost and re-opened."
    )
    retry_max_s: Seconds = Field(30, ge=0.1, le=3600, description="Longest wait between re-opens (doubling, jittered).")
    realtime: Flag = Field(
        True,
        description="Files: play at the recorded rate, dropping what is late. False: every frame, in order.",
    )
    loop: Flag = Field(False, description="Files: start again at the end.")

    classes: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        description="Classes published. Left out: all that the detector knows and a pose model exists for.",
        examples=[["horse"]],
    )
    thresholds: dict[str, Score] = Field(
        {}, description="Least detector score per class. A class left out uses its card's.", examples=[{"horse": 0.4}]
    )
    mode: Literal["multi", "single", "adaptive"] = Field(
        "multi", description="All subjects; the one best subject; or all until frames are late, then one."
    )
    pick: Literal["largest", "central"] = Field("largest", description="Which subject `single` keeps.")
    max_subjects: Int = Field(
        16, ge=1, le=64, json_schema_extra=unit("subjects"), description="Most subjects per frame, best scores first."
    )
    detector_interval: Int = Field(
        1,
        ge=1,
        le=60,
        json_schema_extra=unit("frames"),
        description="Detect on every n-th frame; tracks carry boxes between.",
    )
    lift: Flag = Field(
        False,
        description="Give people in space too, joints in mm (`models.lift`); true lengths want `intrinsics`.",
    )
    fixed: StaticRegionConfig | None = None
    gate: QualityConfig = QualityConfig()
    track: TrackConfig = TrackConfig()
    stall: StallConfig = StallConfig()
    aisle: AisleConfig = AisleConfig()

    @property
    def hides_people(self) -> bool:
        """Of people, only that somebody is there leaves the box."""
        return self.stall.enabled and self.stall.people == "presence"

    @property
    def source_kind(self) -> Literal["v4l2", "rtsp", "csi", "files"]:
        """Which adapter the source names."""
        if self.source.startswith(("rtsp:", "rtsps:")):
            return "rtsp"
        if self.source.startswith("csi:"):
            return "csi"
        if self.source.isdigit() or self.source.startswith("/dev/"):
            return "v4l2"
        return "files"


class Config(Section):
    """The whole file."""

    version: Literal[1] = Field(1, description="Format of this file.")
    device: DeviceConfig = DeviceConfig()
    models: ModelsConfig = ModelsConfig()
    compute: ComputeConfig = ComputeConfig()
    engines: EnginesConfig = EnginesConfig()
    mqtt: MqttConfig = MqttConfig()
    publish: PublishConfig = PublishConfig()
    heat: ThrottleConfig = ThrottleConfig()
    homeassistant: HomeAssistantConfig = HomeAssistantConfig()
    prometheus: PrometheusConfig = PrometheusConfig()
    commands: CommandsConfig = CommandsConfig()
    cameras: dict[Name, CameraConfig] = Field(
        {},
        json_schema_extra={"additionalProperties": False},
        description="The cameras, by name; the name is a topic level.",
    )

    @property
    def enabled_cameras(self) -> dict[str, CameraConfig]:
        """The cameras that are enabled, by name."""
        return {name: camera for name, camera in self.cameras.items() if camera.enabled}
