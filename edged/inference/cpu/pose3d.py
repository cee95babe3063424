"""The 3D models on the host: crops, session, decode."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from edged.frame import F32, U8
from edged.inference.cpu.pixels import CropSampler
from edged.inference.crop import Crop
from edged.inference.decode.heatmap3d import soft_argmax
from edged.inference.pose3d.lifter import Answer, RootDepth, for_each_person, root_depths, wrong_task
from edged.inference.pose3d.projection import VolumeJoints
from edged.inference.session import Session
from engines.card import Card
from engines.card.schema import SCHEMAS


class VolumeNet:
    """A model of task `lift`: a `VolumeModel`."""

    def __init__(self, session: Session) -> None:
        if session.card.lift is None:
            raise wrong_task(session.card, "lift")
        self.session, self.spec = session, session.card.lift
        self._joints = len(SCHEMAS[self.spec.schema_name])
        self._batch = _CropBatch(session.card)

    def estimate(self, image: U8, xyxy: F32) -> list[VolumeJoints | None]:
        return self._batch.for_each_person(image, xyxy, self._run)

    def close(self) -> None:
        self.session.close()

    def _run(self, tensor: F32, crops: list[Crop]) -> list[VolumeJoints]:
        (volume,) = self.session.run(tensor)
        _, _, height, width = volume.shape
        bins = soft_argmax(volume, self._joints)
        return [VolumeJoints(crop, at, (self.spec.depth, height, width)) for crop, at in zip(crops, bins, strict=True)]


class RootNet:
    """A model of task `root`: a `RootModel`."""

    def __init__(self, session: Session) -> None:
        if session.card.root is None:
            raise wrong_task(session.card, "root")
        self.session, self.spec = session, session.card.root
        self._batch = _CropBatch(session.card)

    def estimate(self, image: U8, xyxy: F32) -> list[RootDepth | None]:
        return self._batch.for_each_person(image, xyxy, self._run)

    def close(self) -> None:
        self.session.close()

    def _run(self, tensor: F32, crops: list[Crop]) -> list[RootDepth]:
        xy_cells, gamma = self.session.run(tensor)
        return root_depths(crops, xy_cells, gamma, self.spec)


class _CropBatch:
    """The input tensor of one 3D model, filled from people's crops, as many at a time as its card allows."""

    def __init__(self, card: Card) -> None:
        self._card, self._most = card, card.batches[-1]
        self._sample_crop = CropSampler(card.input)
        self._tensor = np.empty((self._most, 3, *card.input.size_wh[::-1]), np.float32)

    def for_each_person(
        self, image: U8, xyxy: F32, run: Callable[[F32, list[Crop]], Iterable[Answer]]
    ) -> list[Answer | None]:
        """As `lifter.for_each_person`; `run` also gets the crops as the model takes them, (N, 3, H, W)."""
        size_wh = image.shape[1], image.shape[0]
        return for_each_person(
            xyxy, size_wh, self._card, self._most, lambda crops: run(self._fill(image, crops), crops)
        )

    def _fill(self, image: U8, crops: list[Crop]) -> F32:
        """(N, 3, H, W) a view, valid until the next crops."""
        for crop, tensor in zip(crops, self._tensor, strict=False):
            self._sample_crop(image, crop, tensor)
        return self._tensor[: len(crops)]
