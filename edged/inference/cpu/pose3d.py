"""The 3D models on the host: crop, session, decode."""

from __future__ import annotations

import numpy as np

from edged.frame import F32, U8
from edged.inference.cpu.pixels import CropSampler
from edged.inference.crop import Crop
from edged.inference.decode.heatmap3d import soft_argmax
from edged.inference.pose3d.lifter import RootDepth, wrong_task
from edged.inference.pose3d.projection import VolumeJoints, person_crop
from edged.inference.session import Session
from engines.card.schema import SCHEMAS


class VolumeNet:
    """A model of task `lift`: a `VolumeModel`."""

    def __init__(self, session: Session) -> None:
        if session.card.lift is None:
            raise wrong_task(session.card, "lift")
        self.session, self.spec = session, session.card.lift
        self._joints = len(SCHEMAS[self.spec.schema_name])
        self._input = _CropInput(session)

    def estimate(self, image: U8, xyxy: F32) -> VolumeJoints | None:
        if (crop := self._input.fill(image, xyxy)) is None:
            return None
        (volume,) = self.session.run(self._input.tensor)
        _, _, height, width = volume.shape
        return VolumeJoints(crop, soft_argmax(volume, self._joints)[0], (self.spec.depth, height, width))

    def close(self) -> None:
        self.session.close()


class RootNet:
    """A model of task `root`: a `RootModel`."""

    def __init__(self, session: Session) -> None:
        if session.card.root is None:
            raise wrong_task(session.card, "root")
        self.session, self.spec = session, session.card.root
        self._input = _CropInput(session)

    def estimate(self, image: U8, xyxy: F32) -> RootDepth | None:
        if (crop := self._input.fill(image, xyxy)) is None:
            return None
        xy_cells, gamma = self.session.run(self._input.tensor)
        xy_px = crop.cells_to_image(xy_cells, (self.spec.cells, self.spec.cells))[0]
        return RootDepth(crop, xy_px, float(gamma[0, 0]))

    def close(self) -> None:
        self.session.close()


class _CropInput:
    """The input tensor of one 3D model, filled from a person's crop."""

    def __init__(self, session: Session) -> None:
        card = session.card
        self._net_wh, self._padding = card.input.size_wh, card.padding or 1.0
        self._sample_crop = CropSampler(card.input)
        self.tensor = np.empty((1, 3, *self._net_wh[::-1]), np.float32)

    def fill(self, image: U8, xyxy: F32) -> Crop | None:
        """The crop that the tensor was filled from; None: nothing of the box lies on the image."""
        crop = person_crop(xyxy, (image.shape[1], image.shape[0]), self._net_wh, self._padding)
        if crop is not None:
            self._sample_crop(image, crop, self.tensor[0])
        return crop
