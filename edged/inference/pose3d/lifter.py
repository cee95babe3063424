"""3D poses of people: which boxes are lifted, and what the two 3D models' answers make together.

One person at a time: 18 volumes of 64³ bins are 19 MB a person. The models run where the backend has them
(cpu/pose3d.py, cuda/pose3d.py).
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from edged.frame import F32, U8, Boxes, CameraIntrinsics, Frame, InferenceParams, Pose3d
from edged.inference.crop import Crop
from edged.inference.pose3d.projection import VolumeJoints, person_pose3d
from engines.card import Card, Lift
from engines.errors import CardError

PERSON = "person"  # the only class that the 3D models know


class RootDepth(NamedTuple):
    """RootNet's answer for one person."""

    crop: Crop
    xy_px: F32  # (2,) the root joint in the image
    gamma: float  # its depth over `heuristic_depth_mm`


class VolumeModel(Protocol):
    """A model of task `lift`. `estimate` takes one box (4,) in image px; None: nothing of it lies on the image."""

    @property
    def spec(self) -> Lift: ...
    def estimate(self, image: U8, xyxy: F32) -> VolumeJoints | None: ...
    def close(self) -> None: ...


class RootModel(Protocol):
    """A model of task `root`. `estimate` takes one box (4,) in image px; None: nothing of it lies on the image."""

    def estimate(self, image: U8, xyxy: F32) -> RootDepth | None: ...
    def close(self) -> None: ...


class Lifter:
    """Joints in the camera frame, at RootNet's depth, or without RootNet at the depth that the box's size suggests.

    Closes both models. Thread: the backend's.
    """

    def __init__(self, volume: VolumeModel, root: RootModel | None) -> None:
        self._volume, self._root = volume, root

    def close(self) -> None:
        if self._root is not None:
            self._root.close()
        self._volume.close()

    def lift_people(
        self, frame: Frame, image: U8, boxes: Boxes, classes: tuple[str, ...], params: InferenceParams
    ) -> tuple[Pose3d | None, ...]:
        """One per box; None: not a person, or no plausible pose. Empty when `params` want none."""
        if not params.lift_3d:
            return ()
        people = [classes[label] == PERSON for label in boxes.label.tolist()]
        intrinsics = params.intrinsics or CameraIntrinsics.default(frame.size_wh)
        found = iter(self.lift_boxes(image, boxes.xyxy[people], intrinsics))
        return tuple(next(found) if person else None for person in people)

    def lift_boxes(self, image: U8, xyxy: F32, intrinsics: CameraIntrinsics) -> list[Pose3d | None]:
        """One per box (N, 4) in image px; None: nothing of it lies on the image, or no plausible pose."""
        return [self._lift_box(image, box, intrinsics) for box in xyxy]

    def _lift_box(self, image: U8, box: F32, intrinsics: CameraIntrinsics) -> Pose3d | None:
        joints = self._volume.estimate(image, box)
        if joints is None:
            return None
        root = self._root.estimate(image, box) if self._root else None
        return person_pose3d(joints, self._volume.spec, intrinsics, root.gamma if root else None)


def wrong_task(card: Card, task: str) -> CardError:
    """The error of a model that is configured for another task than its own."""
    return CardError(f"model {card.name} is a {card.task} model; models.{task} wants one of task {task}")
