"""3D poses of people: which boxes are lifted, and what the two 3D models' answers make together.

Several people in one call: as many as the model's card allows, since 18 volumes of 64³ bins are 19 MB a person. The
models run where the backend has them (cpu/pose3d.py, cuda/pose3d.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol, TypeVar

from edged.frame import F32, U8, Boxes, CameraIntrinsics, Frame, InferenceParams, Pose3d
from edged.inference.crop import Crop
from edged.inference.pose3d.projection import VolumeJoints, person_crop, person_pose3d
from engines.card import Card, Lift, Root
from engines.errors import CardError

Answer = TypeVar("Answer")
PERSON = "person"  # the only class that the 3D models know


class RootDepth(NamedTuple):
    """RootNet's answer for one person."""

    crop: Crop
    xy_px: F32  # (2,) the root joint in the image
    gamma: float  # its depth over `heuristic_depth_mm`


class VolumeModel(Protocol):
    """A model of task `lift`. `estimate` gives one per box (N, 4) in image px; None: nothing of it is on the image."""

    @property
    def spec(self) -> Lift: ...
    def estimate(self, image: U8, xyxy: F32) -> list[VolumeJoints | None]: ...
    def close(self) -> None: ...


class RootModel(Protocol):
    """A model of task `root`. `estimate` gives one per box (N, 4) in image px; None: nothing of it is on the image."""

    @property
    def spec(self) -> Root: ...
    def estimate(self, image: U8, xyxy: F32) -> list[RootDepth | None]: ...
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
        """One per box, from the image (H, W, 3) BGR; None: no person, or no plausible pose. Empty: none is wanted."""
        if not params.lift_3d:
            return ()
        people = [classes[label] == PERSON for label in boxes.label.tolist()]
        intrinsics = params.intrinsics or CameraIntrinsics.default(frame.size_wh)
        found = iter(self.lift_boxes(image, boxes.xyxy[people], intrinsics))
        return tuple(next(found) if person else None for person in people)

    def lift_boxes(self, image: U8, xyxy: F32, intrinsics: CameraIntrinsics) -> list[Pose3d | None]:
        """One per box (N, 4) in image px; None: nothing of it lies on the image, or no plausible pose."""
        seen = self._volume.estimate(image, xyxy)
        roots = self._root.estimate(image, xyxy) if self._root else [None] * len(xyxy)
        spec, error = self._volume.spec, self._root.spec.error if self._root else None
        return [
            joints and person_pose3d(joints, spec, intrinsics, root.gamma if root else None, error)
            for joints, root in zip(seen, roots, strict=True)
        ]


def for_each_person(
    xyxy: F32, size_wh: tuple[int, int], card: Card, most: int, run: Callable[[list[Crop]], Iterable[Answer]]
) -> list[Answer | None]:
    """What `run` answers for the crop of each box (N, 4) in px of an image of that size, `most` crops in one call.

    None: nothing of the box lies on the image.
    """
    crops = [person_crop(box, size_wh, card.input.size_wh, card.padding or 1.0) for box in xyxy]
    shown = [(row, crop) for row, crop in enumerate(crops) if crop is not None]
    answers: list[Answer | None] = [None] * len(crops)
    for at in range(0, len(shown), most):
        part: Sequence[tuple[int, Crop]] = shown[at : at + most]
        for (row, _), answer in zip(part, run([crop for _, crop in part]), strict=True):
            answers[row] = answer
    return answers


def root_depths(crops: Sequence[Crop], xy_cells: F32, gamma: F32, spec: Root) -> list[RootDepth]:
    """What RootNet's outputs mean: `xy_cells` (N, 2) of each crop's grid, `gamma` (N, 1)."""
    cells = (spec.cells, spec.cells)
    return [
        RootDepth(crop, crop.cells_to_image(xy, cells), float(factor))
        for crop, xy, factor in zip(crops, xy_cells, gamma[:, 0], strict=True)
    ]


def wrong_task(card: Card, task: str) -> CardError:
    """The error of a model that is configured for another task than its own."""
    return CardError(f"model {card.name} is a {card.task} model; models.{task} wants one of task {task}")
