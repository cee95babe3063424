"""People in space, on whatever runs the models: crop, engine, decode, one person after the other.

Owned by the plane in whose thread it runs. One at a time: 18 volumes of 64³ bins are 19 MB a person.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from edged.frame import F32, U8, Boxes, CameraIntrinsics, Frame, InferenceParams, Pose3d
from edged.inference.cpu.backend import CropSampler, Session
from edged.inference.crop import Crop
from edged.inference.decode.heatmap3d import soft_argmax
from edged.inference.pose3d.projection import VolumeJoints, person_crop, person_pose3d
from edged.inference.select import hints
from engines.card import Card, Lift
from engines.card.schema import SCHEMAS
from engines.errors import CardError

PERSON = "person"


class RootDepth(NamedTuple):
    """What RootNet says of one person."""

    crop: Crop
    xy_px: F32  # (2,) the root joint in the image
    gamma: float  # its depth over k


class VolumeNet:
    """A model of task `lift`."""

    def __init__(self, session: Session) -> None:
        if session.card.lift is None:
            raise wrong_task(session.card, "lift")
        self.session, self.spec = session, session.card.lift
        self._joints = len(SCHEMAS[self.spec.schema_name])
        self._input = _CropInput(session)

    def estimate(self, image: U8, xyxy: F32) -> VolumeJoints | None:
        """None where nothing of the box lies on the image."""
        if (crop := self._input.fill(image, xyxy)) is None:
            return None
        (volume,) = self.session.run(self._input.tensor)
        _, _, height, width = volume.shape
        return VolumeJoints(crop, soft_argmax(volume, self._joints)[0], (self.spec.depth, height, width))

    def close(self) -> None:
        self.session.close()


class RootNet:
    """A model of task `root`."""

    def __init__(self, session: Session) -> None:
        if session.card.root is None:
            raise wrong_task(session.card, "root")
        self.session, self.spec = session, session.card.root
        self._input = _CropInput(session)

    def estimate(self, image: U8, xyxy: F32) -> RootDepth | None:
        """None where nothing of the box lies on the image."""
        if (crop := self._input.fill(image, xyxy)) is None:
            return None
        xy_cells, gamma = self.session.run(self._input.tensor)
        xy_px = crop.cells_to_image(xy_cells, (self.spec.cells, self.spec.cells))[0]
        return RootDepth(crop, xy_px, float(gamma[0, 0]))

    def close(self) -> None:
        self.session.close()


class VolumeModel(Protocol):
    """A model of task `lift`, wherever it runs. `look` gives None where nothing of the box lies on the image."""

    @property
    def spec(self) -> Lift: ...
    def estimate(self, image: U8, xyxy: F32) -> VolumeJoints | None: ...
    def close(self) -> None: ...


class RootModel(Protocol):
    """A model of task `root`, wherever it runs. `look` gives None where nothing of the box lies on the image."""

    def estimate(self, image: U8, xyxy: F32) -> RootDepth | None: ...
    def close(self) -> None: ...


class Lifter:
    """Joints in the camera's frame, at the depth that RootNet tells, or else that the box's size suggests."""

    def __init__(self, volume: VolumeModel, root: RootModel | None) -> None:
        self._volume, self._root = volume, root

    def close(self) -> None:
        if self._root is not None:
            self._root.close()
        self._volume.close()

    def lift_people(
        self, frame: Frame, image: U8, boxes: Boxes, classes: tuple[str, ...], params: InferenceParams
    ) -> tuple[Pose3d | None, ...]:
        """One per box, None for what is no person or no more than a hint; nothing at all where nobody asked."""
        if not params.lift_3d:
            return ()
        sure = (~hints(boxes, params.thresholds)).tolist()
        people = [classes[label] == PERSON and seen for label, seen in zip(boxes.label.tolist(), sure, strict=True)]
        lens = params.intrinsics or CameraIntrinsics.default(frame.size_wh)
        found = iter(self.lift_boxes(image, boxes.xyxy[people], lens))
        return tuple(next(found) if person else None for person in people)

    def lift_boxes(self, image: U8, xyxy: F32, intrinsics: CameraIntrinsics) -> list[Pose3d | None]:
        """For each of the (N, 4) boxes; None where nothing of it lies on the image, or it makes no sense in space."""
        return [self._lift_box(image, box, intrinsics) for box in xyxy]

    def _lift_box(self, image: U8, box: F32, intrinsics: CameraIntrinsics) -> Pose3d | None:
        seen = self._volume.estimate(image, box)
        if seen is None:
            return None
        rooted = self._root.estimate(image, box) if self._root else None
        return person_pose3d(seen, self._volume.spec, intrinsics, rooted.gamma if rooted else None)


class _CropInput:
    """The window of the 3DMPPE family, as one net wants it."""

    def __init__(self, session: Session) -> None:
        card = session.card
        self._net_wh, self._padding = card.input.size_wh, card.padding or 1.0
        self._sample_crop = CropSampler(card.input)
        self.tensor = np.empty((1, 3, *self._net_wh[::-1]), np.float32)

    def fill(self, image: U8, xyxy: F32) -> Crop | None:
        """Fill the tensor from the box's window, and say which that was."""
        crop = person_crop(xyxy, (image.shape[1], image.shape[0]), self._net_wh, self._padding)
        if crop is not None:
            self._sample_crop(image, crop, self.tensor[0])
        return crop


def wrong_task(card: Card, task: str) -> CardError:
    """What is said of a model in the wrong place."""
    return CardError(f"model {card.name} is a {card.task} model; models.{task} wants one of task {task}")
