"""What travels along the data path: frames, detections, inference results, tracked subjects.

Coordinates are x first, image pixels, origin at the top-left corner of the top-left pixel. Imports nothing of ours.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
U8 = NDArray[np.uint8]
Flags = NDArray[np.bool_]

PixelFormat = Literal["bgr", "gray", "yuyv", "nv12"]  # of an image in memory; see `image_shape` and inference/colour.py
# In this frame; predicted from earlier ones; a fixed region; of an earlier frame, since when nothing has moved.
BoxSource = Literal["detected", "tracked", "region", "held"]

X, Y, SCORE = range(3)
XY = slice(0, 2)
X0, Y0, X1, Y1 = range(4)

UNDISTORT_ROUNDS = 20  # iterations; 10 are exact to 1e-6 for the lenses of cameras that watch people
UNDISTORT_TOLERANCE = 1e-4  # largest change of x/z, y/z in the last round that counts as converged


def image_size(image: U8, pixel_format: PixelFormat) -> tuple[int, int]:
    """Width and height in pixels of an image shaped as `Frame.image`."""
    height, width = image.shape[:2]
    return (width, height * 2 // 3) if pixel_format == "nv12" else (width, height)


def image_shape(size_wh: tuple[int, int], pixel_format: PixelFormat) -> tuple[int, ...]:
    """Shape of the uint8 array that holds an image of that size: the inverse of `image_size`."""
    width, height = size_wh
    return {
        "bgr": (height, width, 3),
        "gray": (height, width),
        "yuyv": (height, width, 2),
        "nv12": (height * 3 // 2, width),
    }[pixel_format]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Frame:
    """One camera image, upright and masked. Borrowed: `image` is valid only while its lease is held."""

    camera: str
    seq: int  # counts every captured frame of this camera from 0; gaps are drops
    captured_ns: int  # CLOCK_MONOTONIC, as near to the exposure as the source can tell
    image: U8  # (H, W, 3) BGR, or the shape of `pixel_format`
    pixel_format: PixelFormat = "bgr"
    source: str | None = None  # file the frame came from, None for live cameras
    position: int | None = None  # frame number inside `source`
    recorded_ns: int | None = None  # time inside the recording, where frames come faster or slower than recorded
    source_ns: int | None = None  # time inside `source`, from its first frame; None: it has no times
    recorded_utc_ms: int | None = None  # when it was recorded, by the recording's clock; None: unknown, or played live
    damaged: bool = False  # parts of the image are missing or made up: the stream has lost some of it

    @property
    def size_wh(self) -> tuple[int, int]:
        return image_size(self.image, self.pixel_format)

    @property
    def scene_ns(self) -> int:
        """When the scene looked like this: what motion is measured against."""
        return self.captured_ns if self.recorded_ns is None else self.recorded_ns


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Boxes:
    """Detections of one frame, best first."""

    xyxy: F32  # (N, 4) image pixels
    score: F32  # (N,) in [0, 1]
    label: I64  # (N,) index into the detector's class names

    def __post_init__(self) -> None:
        n = len(self.xyxy)
        if self.xyxy.shape != (n, 4) or self.score.shape != (n,) or self.label.shape != (n,):
            got = f"xyxy {self.xyxy.shape}, score {self.score.shape}, label {self.label.shape}"
            raise ValueError(f"boxes: got {got}; want (N, 4), (N,), (N,)")

    def __len__(self) -> int:
        return len(self.score)

    def select(self, rows: I64 | Flags) -> Boxes:
        """The chosen rows, in the order given; `rows` are indices or a mask (N,)."""
        return Boxes(xyxy=self.xyxy[rows], score=self.score[rows], label=self.label[rows])

    def shifted(self, dx: float, dy: float) -> Boxes:
        """The boxes moved by (dx, dy) pixels."""
        by = np.array([dx, dy, dx, dy], np.float32)
        return Boxes(xyxy=self.xyxy + by, score=self.score, label=self.label)

    @staticmethod
    def empty() -> Boxes:
        return Boxes(xyxy=np.zeros((0, 4), np.float32), score=np.zeros(0, np.float32), label=np.zeros(0, np.int64))


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityLimits:
    """Beyond these an image is too bad for its detections to be believed. The defaults limit nothing."""

    min_brightness: float = 0.0  # mean grey level, 0..255
    max_brightness: float = 255.0
    min_contrast: float = 0.0  # grey levels
    min_sharpness: float = 0.0  # ratio of variances


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageQuality:
    """How usable an image is, measured in grey on every second row of the detector's input."""

    brightness: float  # mean grey level, 0..255
    contrast: float  # grey level spread, 5th to 95th percentile, 0..255
    sharpness: float  # variance of the Laplacian over the variance of the image; 0 = featureless
    degraded: tuple[str, ...] = ()  # "dark", "bright", "flat", "blurred": limits it breaks; "damaged"


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraIntrinsics:
    """A pinhole camera. Focal lengths and principal point in px of the upright image.

    Camera frame: x right, y down, z forward.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    distortion: tuple[float, ...] = ()  # OpenCV's k1 k2 p1 p2 k3 k4 k5 k6, as many as are known
    assumed: bool = False  # a default, not measured
    tilt_deg: float = 0.0  # how far it looks down; 0: level, or not known

    @staticmethod
    def default(size_wh: tuple[int, int], focal_px: float = 1500.0) -> CameraIntrinsics:
        """The camera of the 3DMPPE family's demonstrations: that focal length, the centre in the image's middle."""
        return CameraIntrinsics(fx=focal_px, fy=focal_px, cx=size_wh[0] / 2, cy=size_wh[1] / 2, assumed=True)

    @property
    def focal_px(self) -> float:
        """The geometric mean of both focal lengths."""
        return float(np.sqrt(self.fx * self.fy))

    def rays(self, xy_px: NDArray[np.floating]) -> F64:
        """(…, 2) x/z and y/z of the directions that pixels (…, 2) look in; NaN where undistortion does not converge.

        Distortion is undone by fixed-point iteration. Source: OpenCV, the model of undistortPoints; its steps swing to
        and fro in the corners of wide lenses, and are halved here where they do.
        """
        centre, focal = np.array([self.cx, self.cy]), np.array([self.fx, self.fy])
        distorted: F64 = (xy_px.astype(np.float64) - centre) / focal
        if not any(self.distortion):
            return distorted
        k1, k2, p1, p2, k3, k4, k5, k6 = (*self.distortion, *(0.0,) * (8 - len(self.distortion)))
        ray: F64 = distorted.copy()
        step, radial = np.zeros_like(ray), np.ones(ray.shape[:-1])
        share = np.ones((*ray.shape[:-1], 1))  # of a step that is taken
        for _ in range(UNDISTORT_ROUNDS):
            x, y = ray[..., 0], ray[..., 1]
            r2 = x * x + y * y
            radial = (1 + r2 * (k4 + r2 * (k5 + r2 * k6))) / (1 + r2 * (k1 + r2 * (k2 + r2 * k3)))
            dx = 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
            dy = p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
            before, step = step, (distorted - np.stack([dx, dy], axis=-1)) * radial[..., None] - ray
            back = (step * before).sum(axis=-1, keepdims=True) < -0.5 * (before * before).sum(axis=-1, keepdims=True)
            share = np.where(back, share / 2, share)
            ray = ray + share * step
        converged = np.abs(step).max(axis=-1) < UNDISTORT_TOLERANCE
        ray[~(converged & (radial > 0))] = np.nan  # else the ray looks the other way: the model ends before that pixel
        return ray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class InferenceParams:
    """What one camera wants of the backend; one backend serves cameras with different parameters."""

    thresholds: F32  # (C,) least score per detector class, in [0, 1]; inf: class not wanted
    max_subjects: int
    quality_limits: QualityLimits = QualityLimits()
    roi: tuple[int, int, int, int] | None = None  # x0 y0 x1 y1 image pixels
    pick: Literal["score", "largest", "central"] = "score"  # which to keep when there are more than `max_subjects`
    lift_3d: bool = False  # 3D poses of people too, where there is a model for it
    intrinsics: CameraIntrinsics | None = None  # of the camera; None: not measured


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pose3d:
    """A person in 3D: millimetres in the camera frame (x right, y down, z forward)."""

    xyz_mm: F32  # (J, 3) relative to the root joint
    root_mm: F32  # (3,) the root joint, from the camera
    schema: str  # names the joints, e.g. "h36m-18"
    depth_source: Literal["rootnet", "heuristic"]  # of root_mm: RootNet, or the size of the box
    focal_source: Literal["given", "assumed"]  # intrinsics as configured, or CameraIntrinsics.default
    depth_error: float | None = None  # of the distance, as a share of it; two in three are better; None: not measured
    tilt_deg: float = 0.0  # how far the camera looks down

    @property
    def distance_mm(self) -> float:
        """From the camera to the root joint."""
        return float(np.linalg.norm(self.root_mm))

    @property
    def upright_mm(self) -> F32:
        """(J + 1, 3) the root joint and all joints from the camera, as if it were level: y straight down."""
        points = np.concatenate([self.root_mm[None], self.root_mm + self.xyz_mm])
        sin, cos = np.sin(np.radians(self.tilt_deg)), np.cos(np.radians(self.tilt_deg))
        down, ahead = points[:, 1] * cos + points[:, 2] * sin, points[:, 2] * cos - points[:, 1] * sin
        return np.stack([points[:, 0], down, ahead], axis=1).astype(np.float32)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class InferenceResult:
    """What a backend found in one frame: boxes, and the keypoints inside each. Empty when the image is degraded."""

    quality: ImageQuality
    boxes: Boxes
    keypoints: tuple[F32 | None, ...]  # per box (K, 3) x, y, score; x, y NaN: not found; None: class without pose model
    poses3d: tuple[Pose3d | None, ...] = ()  # per box; None: no person or no plausible pose; empty: not wanted
    stage_ns: dict[str, int] = field(default_factory=dict)  # time per stage: letterbox, detect, decode, …

    def with_rows(self, rows: I64, others: InferenceResult) -> InferenceResult:
        """This result with these of its rows (N,) replaced by all `others`, of the same frame; times are added up."""
        xyxy, score, label = self.boxes.xyxy.copy(), self.boxes.score.copy(), self.boxes.label.copy()
        xyxy[rows], score[rows], label[rows] = others.boxes.xyxy, others.boxes.score, others.boxes.label
        keypoints, poses3d = list(self.keypoints), list(self.poses3d)
        for place, row in enumerate(rows.tolist()):
            keypoints[row] = others.keypoints[place]
            if poses3d and others.poses3d:
                poses3d[row] = others.poses3d[place]
        return InferenceResult(
            quality=self.quality,
            boxes=Boxes(xyxy=xyxy, score=score, label=label),
            keypoints=tuple(keypoints),
            poses3d=tuple(poses3d),
            stage_ns=self.stage_ns | {s: self.stage_ns.get(s, 0) + more for s, more in others.stage_ns.items()},
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrackedSubject:
    """One tracked person or animal in one frame, in camera pixels."""

    id: int  # stable while tracked, never reused in a run
    label: str  # class name
    score: float  # of the last detection of its class, in [0, 1]; in a static region of the keypoints
    xyxy: F32  # (4,)
    keypoints: F32 | None  # (K, 3) x, y, score, raw; x, y NaN where not found; None: no pose model for the class
    smoothed: F32 | None  # (K, 3) the same after One-Euro filtering, for display
    schema: str | None  # keypoint schema name, e.g. "ap10k-17"
    box_source: BoxSource
    detection_score: float | None = None  # of the detector, in [0, 1], from the last detection; None: a static region
    pose3d: Pose3d | None = None  # in space, where that was asked for
    smoothed3d: Pose3d | None = None  # the same after One-Euro filtering


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrameResult:
    """Everything known about one processed frame. What has no comment is as in `Frame`."""

    camera: str
    seq: int
    captured_ns: int
    done_ns: int  # CLOCK_MONOTONIC, when its subjects were known
    size_wh: tuple[int, int]  # of the upright image, px
    subjects: tuple[TrackedSubject, ...]
    quality: ImageQuality
    stage_ns: dict[str, int]  # time per stage: letterbox, detect, decode, …
    source: str | None = None
    position: int | None = None
    source_ns: int | None = None
    recorded_utc_ms: int | None = None
    held: bool = False  # no model ran: nothing has moved since an earlier frame, whose subjects these are
