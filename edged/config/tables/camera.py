"""`[cameras.<name>]`: where frames come from and what is detected in them; the stall's tables are in `stall`."""

from __future__ import annotations

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from edged.config.tables.down import DownConfig
from edged.config.tables.stall import AisleConfig, StallConfig
from edged.config.types import (
    Area,
    Box,
    FilePath,
    Flag,
    FrameRate,
    Grey,
    ImageSide,
    Int,
    Line,
    Number,
    Polygon,
    Px,
    Score,
    Seconds,
    Secret,
    Section,
    ServerName,
    table,
    unit,
)
from edged.secret_address import SecretAddress

RTSP_PORTS = {"rtsp": 554, "rtsps": 322}  # Source: RFC 7826
FORMATS = {"rtsp": ("auto", "h264", "h265"), "v4l2": ("auto", "mjpg", "yuyv", "nv12", "gray")}  # by kind of camera
WHOLE_HOST = re.compile(r"[\w-]+(\.[\w-]+)+(:[0-9]+)?(/|$)")
SECRET_IN_PATH = re.compile(  # as cameras and recorders name it: loginpas, password; a pasture is none
    r"(?i)pas(s|sw\w*|sphr\w*)?(?![a-z])|pwd|token|secret|auth"
)


def _check_source(source: SecretAddress) -> SecretAddress:
    value = source.reveal()
    if not value.isprintable():
        raise ValueError("must be one line of printable text")
    if re.match("(?i)csi(:|$)", value) and not re.fullmatch("csi:[0-9]+", value):
        raise ValueError("must be csi:<sensor number>; write csi:0 for the first sensor")
    if value.startswith(("rtsp:", "rtsps:")) and not _is_rtsp_url(value):
        raise ValueError(
            "must be rtsp://host[:port]/path; in a password write %23 %2F %3F %40 for # / ? and the at sign"
        )
    if value.startswith(("rtsp:", "rtsps:")) and " " in value.rpartition("@")[2]:
        raise ValueError("has a space, which an address may not hold; remove it, or write %20 for it")
    if value.startswith(("http:", "https:")):
        raise ValueError(
            "must be the camera's rtsp:// address; for one without RTSP, go2rtc makes it of HTTP: configs/README.md"
        )
    if "://" in value and not value.startswith(("rtsp:", "rtsps:")):
        raise ValueError("must be rtsp://…, rtsps://…, csi:N, a device or a path; other addresses cannot be opened")
    if found := re.fullmatch("(?i)(?:usb|v4l2?|video|webcam|camera)[:/]?([0-9]+)", value):
        number = found[1]
        raise ValueError(f'must be the number of a device, or its path; write "{number}" for /dev/video{number}')
    if re.match(r"[^/]*:[^/]*@|([0-9]{1,3}\.){3}[0-9]{1,3}([:/]|$)", value):
        raise ValueError(
            "must be rtsp://…, rtsps://…, csi:N, a device or a path; write rtsp:// in front of the address"
        )
    return source


def _is_rtsp_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        twice = parts.hostname in ("rtsp", "rtsps") and parts.path.startswith("//")
        _, at, behind = url.removeprefix(f"{parts.scheme}://{parts.netloc}").rpartition("@")
        cut = at and re.fullmatch("[a-z0-9-]*", parts.hostname or "") and WHOLE_HOST.match(behind)  # in a password
        return bool(parts.hostname) and parts.port != 0 and not twice and not cut
    except ValueError:  # a port that is no number, a bracket that is not closed
        return False


class IntrinsicsConfig(Section):
    """Pinhole camera model, in pixels of the upright camera image; for metric results."""

    fx: Px = Field(gt=0, description="Focal length along x.", examples=[912.4])
    fy: Px = Field(gt=0, description="Focal length along y.", examples=[911.8])
    cx: Px = Field(description="Principal point x.", examples=[640.2])
    cy: Px = Field(description="Principal point y.", examples=[358.7])
    distortion: tuple[Number, ...] = Field(
        (), max_length=8, description="OpenCV order k1 k2 p1 p2 k3 k4 k5 k6.", examples=[[-0.31, 0.09, 0.0, 0.0, -0.01]]
    )
    tilt_deg: Number = Field(
        0,
        ge=-90,
        le=90,
        json_schema_extra=unit("degrees"),
        description="How far the camera looks down; for positions on the floor.",
    )

    @model_validator(mode="after")
    def _check_px(self) -> IntrinsicsConfig:
        """Raises ValueError for a focal length in mm: even a lens that sees 150 degrees has a quarter of cx."""
        if self.fx < self.cx / 5 or self.fy < self.cy / 5:
            raise ValueError(
                "fx and fy must be in px, as cx and cy are: of a focal length in mm, multiply by the image's width in "
                "px and divide by the sensor's in mm"
            )
        return self


class StaticRegionConfig(Section):
    """A region that always holds one subject: its box is used, and no detector runs."""

    label: str = Field(min_length=1, description="Class of the subject.", examples=["horse"])
    box: Box = Field(description="x0 y0 x1 y1 in the upright camera image.", examples=[[40, 60, 1240, 700]])


class QualityConfig(Section):
    """Limits of a usable image. A frame outside them is published with its quality figures and without subjects."""

    # Source: outside these limits more subjects are missed than found (`python -m tools.robustness`).
    enabled: Flag = Field(True, description="Check every frame.")
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


class TrackConfig(Section):
    """How detections become tracks with stable ids."""

    min_iou: Number = Field(
        0.2, ge=0, le=1, description="Lowest overlap (IoU) of a detection with a track's predicted box."
    )
    min_hits: Int = Field(
        2, ge=1, le=30, json_schema_extra=unit("detections"), description="Detections before a new track is published."
    )
    min_keypoints: Int = Field(
        1,
        ge=0,
        le=133,
        json_schema_extra=unit("keypoints"),
        description="Keypoints that must be visible before a new subject is published, if its class has a pose model.",
    )
    max_age_s: Seconds = Field(2.0, ge=0, le=60, description="How long a subject without detections keeps its id.")


class MotionGateConfig(Section):
    """While nothing moves in the image, its subjects are kept as they are, and no model runs."""

    mode: Literal["auto", "on", "off"] = Field(
        "auto", description="`auto`: on in a monitored stall (`stall.enabled`), off elsewhere."
    )
    min_change: Grey = Field(
        10, gt=0, description="Change of brightness, on the mean of a 160th of the image's width, that is movement."
    )
    rest_s: Seconds = Field(
        10, ge=0, le=3600, description="Nothing must have moved for this long before a frame goes without models."
    )
    refresh_s: Seconds = Field(2, gt=0, le=5, description="The models run at least this often, whatever moves.")


class CameraConfig(Section):
    """One camera: where frames come from and what is detected in them."""

    source: Annotated[SecretAddress, AfterValidator(_check_source)] = Field(
        description="`/dev/v4l/by-path/…` or a number, `rtsp://…`, `csi:0`, or a video, image or folder.",
        examples=["rtsp://192.168.1.40/stream1"],
    )
    enabled: Flag = Field(True, description="Use this camera.")
    username: Line = Field("", description="RTSP user name, when not in the address.")
    password: Secret = Field(
        SecretStr(""), description="RTSP password. Better kept in the credential `cameras.<name>.password`."
    )
    ca: FilePath | None = Field(
        None,
        description="CA certificate (PEM) of an `rtsps://` camera. Left out: the system's store.",
        examples=["/etc/edged/cameras.pem"],
    )
    tls_verify: Flag = Field(
        True,
        description="Accept an `rtsps://` camera only with a valid certificate. False: encrypted, but whoever answers "
        "is taken for the camera.",
    )
    tls_server_name: ServerName = Field(
        "", description="Name that an `rtsps://` camera's certificate is for. Empty: the host of its address."
    )
    onvif_serial: Line = Field(
        "",
        max_length=64,
        description="Serial number of an RTSP camera, as `edged cameras find` prints it: while the camera is lost, "
        "it is looked for by ONVIF at other addresses. Who answers there gets a digest of the password. Empty: never.",
        examples=["DS-2CD2043G2-I20260114"],
    )
    format: Literal["auto", "mjpg", "yuyv", "nv12", "gray", "h264", "h265"] = Field(
        "auto", description="Requested pixel format (V4L2) or codec (RTSP)."
    )
    size: tuple[ImageSide, ImageSide] | None = Field(
        None,
        json_schema_extra=unit("px"),
        description="Requested width and height. Left out: the camera's default.",
        examples=[[1280, 720]],
    )
    fps: FrameRate = Field(
        0,
        description="Requested rate; files: the playing rate; RTSP: frames over it are left out. 0: the source's own.",
    )
    rotate: Literal[0, 90, 180, 270] = Field(
        0, json_schema_extra=unit("degrees"), description="Clockwise turn that makes the image upright."
    )
    roi: Area | None = Field(
        None,
        description="x0 y0 x1 y1 of the part that is processed. Left out: the whole image.",
        examples=[[0, 120, 1280, 720]],
    )
    images: Flag = Field(
        False, description="Pictures of this camera may be sent, to commands that `commands.allow` lists."
    )
    alerts: Flag = Field(True, description="Open alerts of this camera.")
    masks: tuple[Polygon, ...] = Field(
        (),
        json_schema_extra=unit("px"),
        description="Polygons blanked before the image is processed.",
        examples=[[[[0, 0], [320, 0], [0, 240]]]],
    )
    intrinsics: IntrinsicsConfig | None = None
    open_timeout_s: Seconds = Field(10, ge=0.5, le=120, description="Longest wait for the first frame.")
    frame_timeout_s: Seconds = Field(
        5,
        ge=0.2,
        le=300,
        description="Without a frame for this long, the camera is reported lost and opened again; "
        "at a low `fps`, two frames' time.",
    )
    retry_max_s: Seconds = Field(
        30, ge=0.1, le=3600, description="Longest wait between attempts to open it (doubling, with jitter)."
    )
    realtime: Flag = Field(
        True,
        description="Files: play at the recorded rate, dropping what is late. False: every frame, in order.",
    )
    loop: Flag = Field(False, description="Files: start again at the end.")

    classes: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        description="Published classes. Left out: all that have a detector class and a pose model.",
        examples=[["horse"]],
    )
    thresholds: dict[str, Score] = Field(
        {},
        description="Lowest score of a subject, per class. A class left out uses its models' cards.",
        examples=[{"horse": 0.4}],
    )
    mode: Literal["multi", "single", "adaptive"] = Field(
        "multi", description="All subjects; the one best subject; or all until frames are late, then one."
    )
    pick: Literal["largest", "central"] = Field("largest", description="Which subject `single` publishes.")
    max_subjects: Int = Field(
        16, ge=1, le=64, json_schema_extra=unit("subjects"), description="Most subjects per frame, best scores first."
    )
    detector_interval: Int = Field(
        1,
        ge=1,
        le=60,
        json_schema_extra=unit("frames"),
        description="Detect on every n-th frame; tracks predict the boxes of the others.",
    )
    lift: Flag = Field(
        False,
        description="Add 3D keypoints of people in mm (`models.lift`); true lengths need `intrinsics`.",
    )
    static_region: StaticRegionConfig | None = None
    quality: QualityConfig = table()
    track: TrackConfig = table()
    motion_gate: MotionGateConfig = table()
    stall: StallConfig = table()
    aisle: AisleConfig = table()
    person_down: DownConfig = table()

    @model_validator(mode="after")
    def _check_down(self) -> CameraConfig:
        """Raises ValueError where `person_down` cannot work, or would tell what `people` keeps back."""
        if self.person_down.enabled and self.stall.floor_m is None:
            raise ValueError(
                "person_down needs a floor of known size; draw it at the page or by edged calibrate, as stall.floor "
                "and stall.floor_m, with stall.enabled = false"
            )
        if self.person_down.enabled and self.hides_people:
            raise ValueError('person_down tells how people lie; set stall.people = "poses", or leave it out')
        return self

    @model_validator(mode="after")
    def _check_search(self) -> CameraConfig:
        """Raises ValueError where whoever answers a search would be told a password that stands in the address."""
        path = self.source.reveal().partition("://")[2].partition("/")[2]
        if self.onvif_serial and SECRET_IN_PATH.search(path):
            raise ValueError(
                "onvif_serial tells the path of source to whoever answers with that number, and a password seems to "
                "stand in it; give username and password as keys of their own, or leave onvif_serial out"
            )
        return self

    @property
    def hides_people(self) -> bool:
        """Whether no more than the presence of people is published."""
        return self.stall.enabled and self.stall.people == "presence"

    @property
    def gates_motion(self) -> bool:
        """Whether no model runs while nothing moves."""
        return self.motion_gate.mode == "on" or (self.motion_gate.mode == "auto" and self.stall.enabled)

    @property
    def upright_size_wh(self) -> tuple[int, int] | None:
        """Of the upright image, in px; None: not configured."""
        if self.size is None or self.rotate in (0, 180):
            return self.size
        return self.size[1], self.size[0]

    @property
    def stall_s(self) -> float:
        """How long it may give no frame, in s, before it counts as lost: at a low rate two frames' time, for jitter."""
        return max(self.frame_timeout_s, 2 / self.fps if self.fps else 0)

    @property
    def source_kind(self) -> Literal["v4l2", "rtsp", "csi", "files"]:
        """Which kind of camera the source is."""
        source = self.source.reveal()
        if source.startswith(("rtsp:", "rtsps:")):
            return "rtsp"
        if source.startswith("csi:"):
            return "csi"
        if source.isdigit() or source.startswith("/dev/"):
            return "v4l2"
        return "files"
