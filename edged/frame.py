"""What travels along the data path: frames in, sightings and subjects out.

Every array is (…, x, y) order, image pixels, origin at the top-left corner of the top-left pixel.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edged.config.tree import QualityConfig
from edged.inference.pose3d.lens import CameraIntrinsics

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]
U8 = NDArray[np.uint8]

PixelFormat = Literal["bgr", "gray", "yuyv", "nv12"]  # of an image in memory; colour.py says what each is

X, Y, SCORE = range(3)
XY = slice(0, 2)
X0, Y0, X1, Y1 = range(4)


def image_size(image: U8, pixel_format: PixelFormat) -> tuple[int, int]:
    """Width and height in pixels."""
    height, width = image.shape[:2]
    return (width, height * 2 // 3) if pixel_format == "nv12" else (width, height)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Frame:
    """One camera image, upright and masked. Borrowed: `image` is valid only while its lease is held."""

    camera: str
    seq: int  # counts every captured frame of this camera from 0; gaps are drops
    captured_ns: int  # CLOCK_MONOTONIC, as near to the exposure as the source can tell
    image: U8  # (H, W, 3) BGR, or as `form` has it
    pixel_format: PixelFormat = "bgr"
    source: str | None = None  # file the frame came from, None for live cameras
    position: int | None = None  # frame number inside `source`
    recorded_ns: int | None = None  # time inside the recording, where frames come faster or slower than recorded

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

    def select(self, rows: I64 | NDArray[np.bool_]) -> Boxes:
        """The chosen rows, in the order given."""
        return Boxes(xyxy=self.xyxy[rows], score=self.score[rows], label=self.label[rows])

    def shifted(self, dx: float, dy: float) -> Boxes:
        """The same boxes, moved."""
        by = np.array([dx, dy, dx, dy], np.float32)
        return Boxes(xyxy=self.xyxy + by, score=self.score, label=self.label)

    @staticmethod
    def empty() -> Boxes:
        return Boxes(xyxy=np.zeros((0, 4), np.float32), score=np.zeros(0, np.float32), label=np.zeros(0, np.int64))


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageQuality:
    """How usable an image is, measured in grey on every second row of it as the detector gets it."""

    brightness: float  # mean grey level, 0..255
    contrast: float  # grey level spread, 5th to 95th percentile, 0..255
    sharpness: float  # variance of the Laplacian over the variance of the thumbnail; 0 = featureless
    degraded: tuple[str, ...] = ()  # the limits it breaks: "dark", "bright", "flat", "blurred"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class InferenceParams:
    """What one camera looks for in its frames; a plane serves cameras with different focus."""

    thresholds: F32  # (C,) least score per detector class; inf: not wanted
    max_subjects: int  # most subjects, best first
    quality_limits: QualityConfig
    roi: tuple[int, int, int, int] | None = None  # x0 y0 x1 y1 image pixels
    pick: Literal["score", "largest", "central"] = "score"  # what "best" means when there are more than `limit`
    bridge: bool = False  # known subjects are shown by the faintest hint too
    lift_3d: bool = False  # people in space too, where the plane has a model for it
    intrinsics: CameraIntrinsics | None = None  # of the camera; None: nobody measured it


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pose3d:
    """A person in space: millimetres in the camera's frame, x right, y down, z forward."""

    xyz_mm: F32  # (J, 3) from the root joint
    root_mm: F32  # (3,) the root joint, from the camera
    schema: str  # names the joints, e.g. "h36m-18"
    depth_source: Literal["rootnet", "heuristic"]  # of the root: told by a net, or by the box's size alone
    focal_source: Literal["given", "assumed"]  # whether the lens was measured; if not, all of it is of a guessed camera


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class InferenceResult:
    """What a compute plane saw in one frame: boxes, and the keypoints inside each. Empty when degraded."""

    quality: ImageQuality
    boxes: Boxes
    keypoints: tuple[F32 | None, ...]  # one (K, 3) x, y, score per box; None: its class has no pose model
    poses3d: tuple[Pose3d | None, ...] = ()  # one per box, or none at all where nobody asked
    stage_ns: dict[str, int] = field(default_factory=dict)  # time per stage: letterbox, detect, decode, …


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrackedSubject:
    """One tracked person or animal in one frame, in camera pixels."""

    id: int  # stable while tracked, never reused in a run
    label: str  # class name
    score: float  # detector score in [0, 1]; of the last detection when carried; of the keypoints in a fixed region
    xyxy: F32  # (4,)
    keypoints: F32 | None  # (K, 3) x, y, score, raw; x, y NaN where not found; None: no pose model for the class
    smoothed: F32 | None  # (K, 3) the same after One-Euro filtering, for display
    schema: str | None  # keypoint schema name, e.g. "ap10k-17"
    carried: bool  # not detected in this very frame
    bridged: bool = False  # the detector gave its box too low a score to show anybody: no evidence of anything
    pose3d: Pose3d | None = None  # in space, where that was asked for


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrameResult:
    """Everything known about one processed frame."""

    camera: str
    seq: int
    captured_ns: int
    done_ns: int
    size_wh: tuple[int, int]
    subjects: tuple[TrackedSubject, ...]
    quality: ImageQuality
    stage_ns: dict[str, int]
    source: str | None = None
    position: int | None = None

    @property
    def seen(self) -> tuple[TrackedSubject, ...]:
        """The subjects that may speak for something: not those bridged."""
        return tuple(subject for subject in self.subjects if not subject.bridged)
