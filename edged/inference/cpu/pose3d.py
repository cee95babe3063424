"""The 3D models on the host: crops, session, decode."""

from __future__ import annotations

import numpy as np

from edged.frame import F32, U8
from edged.inference.cpu.pixels import CropSampler
from edged.inference.crop import Crop
from edged.inference.decode.heatmap3d import soft_argmax
from edged.inference.pose3d.lifter import RootDepth, for_each_person, wrong_task
from edged.inference.pose3d.projection import VolumeJoints
from edged.inference.session import Session
from engines.card.schema import SCHEMAS


class VolumeNet:
    """A model of task `lift`: a `VolumeModel`."""

    def __init__(self, session: Session) -> None:
        if session.card.lift is None:
            raise wrong_task(session.card, "lift")
        self.session, self.spec = session, session.card.lift
        self._joints = len(SCHEMAS[self.spec.schema_name])
        self._batch = _CropBatch(session)

    def estimate(self, image: U8, xyxy: F32) -> list[VolumeJoints | None]:
        return for_each_person(
            xyxy, _size_wh(image), self.session.card, self._batch.most, lambda crops: self._run(image, crops)
        )

    def close(self) -> None:
        self.session.close()

    def _run(self, image: U8, crops: list[Crop]) -> list[VolumeJoints]:
        (volume,) = self.session.run(self._batch.fill(image, crops))
        _, _, height, width = volume.shape
        bins = soft_argmax(volume, self._joints)
        return [VolumeJoints(crop, at, (self.spec.depth, height, width)) for crop, at in zip(crops, bins, strict=True)]


class RootNet:
    """A model of task `root`: a `RootModel`."""

    def __init__(self, session: Session) -> None:
        if session.card.root is None:
            raise wrong_task(session.card, "root")
        self.session, self.spec = session, session.card.root
        self._batch = _CropBatch(session)

    def estimate(self, image: U8, xyxy: F32) -> list[RootDepth | None]:
        return for_each_person(
            xyxy, _size_wh(image), self.session.card, self._batch.most, lambda crops: self._run(image, crops)
        )

    def close(self) -> None:
        self.session.close()

    def _run(self, image: U8, crops: list[Crop]) -> list[RootDepth]:
        xy_cells, gamma = self.session.run(self._batch.fill(image, crops))
        cells = (self.spec.cells, self.spec.cells)
        return [
            RootDepth(crop, crop.cells_to_image(xy, cells), float(factor))
            for crop, xy, factor in zip(crops, xy_cells, gamma[:, 0], strict=True)
        ]


class _CropBatch:
    """The input tensor of one 3D model, filled from people's crops, `most` at a time."""

    def __init__(self, session: Session) -> None:
        card = session.card
        self.most = card.batches[-1]
        self._sample_crop = CropSampler(card.input)
        self._tensor = np.empty((self.most, 3, *card.input.size_wh[::-1]), np.float32)

    def fill(self, image: U8, crops: list[Crop]) -> F32:
        """(N, 3, H, W) the crops as the model takes them; a view, valid until the next ones."""
        for crop, tensor in zip(crops, self._tensor, strict=False):
            self._sample_crop(image, crop, tensor)
        return self._tensor[: len(crops)]


def _size_wh(image: U8) -> tuple[int, int]:
    return image.shape[1], image.shape[0]
