"""Around another camera: turns its images upright and blanks the masked parts, before anything looks at them."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from edged.frame import U8
from edged.ports import Camera, Shot, Stream

Masks = tuple[tuple[tuple[float, float], ...], ...]

TURN = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}


class UprightCamera:
    """`rotate` is the clockwise turn that makes the image upright; masks are polygons in the upright image."""

    def __init__(self, camera: Camera, rotate: Literal[0, 90, 180, 270], masks: Masks) -> None:
        self._camera = camera
        self._rotate = rotate
        self._polygons = [np.round(np.array(polygon)).astype(np.int32) for polygon in masks]

    def open(self) -> Stream:
        return UprightStream(self._camera.open(), TURN.get(self._rotate), self._polygons)


class UprightStream:
    def __init__(self, stream: Stream, turn: int | None, polygons: list[NDArray[np.int32]]) -> None:
        self._stream = stream
        self._turn = turn
        self._polygons = polygons
        self._raw: U8 | None = None  # the image as the sensor lies, when it is to be turned

    def read(self, out: U8 | None) -> Shot:
        shot = self._stream.read(out if self._turn is None else self._raw)
        if shot.image.size == 0:
            return shot
        image = shot.image if self._turn is None else self._turned(shot.image, self._turn, out)
        if self._polygons:
            if image is shot.image and image is not out:
                image = image.copy()  # the camera's own, not ours to write into
            cv2.fillPoly(image, self._polygons, (0, 0, 0))
        return replace(shot, image=image)

    def close(self) -> None:
        self._stream.close()

    def _turned(self, image: U8, turn: int, out: U8 | None) -> U8:
        if self._raw is None or self._raw.shape != image.shape:
            self._raw = np.empty_like(image)
        height, width = image.shape[:2]
        upright_hw = (height, width) if turn == cv2.ROTATE_180 else (width, height)
        fits = out is not None and out.shape[:2] == upright_hw
        return cast(U8, cv2.rotate(image, turn, out if fits else None))
