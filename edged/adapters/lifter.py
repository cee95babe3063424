"""People in space, on whatever runs the models: crop, engine, decode, one person after the other.

Owned by the plane in whose thread it runs. One at a time: 18 volumes of 64³ bins are 19 MB a person.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from edged.adapters.plane_cpu import Cutter, Session
from edged.crop import Crop
from edged.decode.heatmap3d import expected
from edged.frame import F32, U8, Boxes, Focus, Frame, Pose3d
from edged.lift.lens import Lens
from edged.lift.space import InBins, pose3d, window
from edged.select import hints
from engines.card import Card, Lift
from engines.errors import CardError
from engines.schema import SCHEMAS

PERSON = "person"


class Rooted(NamedTuple):
    """What RootNet says of one person."""

    crop: Crop
    xy_px: F32  # (2,) the root joint in the image
    gamma: float  # its depth over k


class VolumeNet:
    """A model of task `lift`."""

    def __init__(self, session: Session) -> None:
        if session.card.lift is None:
            raise other_task(session.card, "lift")
        self.session, self.spec = session, session.card.lift
        self._joints = len(SCHEMAS[self.spec.schema_name])
        self._eye = _Eye(session)

    def look(self, image: U8, xyxy: F32) -> InBins | None:
        """None where nothing of the box lies on the image."""
        if (crop := self._eye.on(image, xyxy)) is None:
            return None
        (volume,) = self.session.run(self._eye.tensor)
        _, _, height, width = volume.shape
        return InBins(crop, expected(volume, self._joints)[0], (self.spec.depth, height, width))

    def close(self) -> None:
        self.session.close()


class RootNet:
    """A model of task `root`."""

    def __init__(self, session: Session) -> None:
        if session.card.root is None:
            raise other_task(session.card, "root")
        self.session, self.spec = session, session.card.root
        self._eye = _Eye(session)

    def look(self, image: U8, xyxy: F32) -> Rooted | None:
        """None where nothing of the box lies on the image."""
        if (crop := self._eye.on(image, xyxy)) is None:
            return None
        xy_cells, gamma = self.session.run(self._eye.tensor)
        xy_px = crop.of_cells(xy_cells, (self.spec.cells, self.spec.cells))[0]
        return Rooted(crop, xy_px, float(gamma[0, 0]))

    def close(self) -> None:
        self.session.close()


class Volumes(Protocol):
    """A model of task `lift`, wherever it runs. `look` gives None where nothing of the box lies on the image."""

    @property
    def spec(self) -> Lift: ...
    def look(self, image: U8, xyxy: F32) -> InBins | None: ...
    def close(self) -> None: ...


class Roots(Protocol):
    """A model of task `root`, wherever it runs. `look` gives None where nothing of the box lies on the image."""

    def look(self, image: U8, xyxy: F32) -> Rooted | None: ...
    def close(self) -> None: ...


class Lifter:
    """Joints in the camera's frame, at the depth that RootNet tells, or else that the box's size suggests."""

    def __init__(self, volume: Volumes, root: Roots | None) -> None:
        self._volume, self._root = volume, root

    def close(self) -> None:
        if self._root is not None:
            self._root.close()
        self._volume.close()

    def people(
        self, frame: Frame, image: U8, boxes: Boxes, classes: tuple[str, ...], focus: Focus
    ) -> tuple[Pose3d | None, ...]:
        """One per box, None for what is no person or no more than a hint; nothing at all where nobody asked."""
        if not focus.space:
            return ()
        sure = (~hints(boxes, focus.thresholds)).tolist()
        people = [classes[label] == PERSON and seen for label, seen in zip(boxes.label.tolist(), sure, strict=True)]
        lens = focus.lens or Lens.guessed(frame.size_wh)
        found = iter(self.lift(image, boxes.xyxy[people], lens))
        return tuple(next(found) if person else None for person in people)

    def lift(self, image: U8, xyxy: F32, lens: Lens) -> list[Pose3d | None]:
        """For each of the (N, 4) boxes; None where nothing of it lies on the image, or it makes no sense in space."""
        return [self._one(image, box, lens) for box in xyxy]

    def _one(self, image: U8, box: F32, lens: Lens) -> Pose3d | None:
        seen = self._volume.look(image, box)
        if seen is None:
            return None
        rooted = self._root.look(image, box) if self._root else None
        return pose3d(seen, self._volume.spec, lens, rooted.gamma if rooted else None)


class _Eye:
    """The window of the 3DMPPE family, as one net wants it."""

    def __init__(self, session: Session) -> None:
        card = session.card
        self._net_wh, self._padding = card.input.size_wh, card.padding or 1.0
        self._cut = Cutter(card.input)
        self.tensor = np.empty((1, 3, *self._net_wh[::-1]), np.float32)

    def on(self, image: U8, xyxy: F32) -> Crop | None:
        """Fill the tensor from the box's window, and say which that was."""
        crop = window(xyxy, (image.shape[1], image.shape[0]), self._net_wh, self._padding)
        if crop is not None:
            self._cut(image, crop, self.tensor[0])
        return crop


def other_task(card: Card, task: str) -> CardError:
    """What is said of a model in the wrong place."""
    return CardError(f"model {card.name} is a {card.task} model; models.{task} wants one of task {task}")
