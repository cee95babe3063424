"""Wraps a camera: rotates its images upright and blacks out the masked areas."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from edged.capture.camera import Camera, CapturedImage, Stream, StreamFacts
from edged.capture.sources.rotation import rotated
from edged.frame import U8

Masks = tuple[tuple[tuple[float, float], ...], ...]


class RotateMaskCamera:
    """`rotate`: clockwise, in degrees, so that the image is upright. `masks`: polygons in px of the upright image."""

    def __init__(self, camera: Camera, rotate: Literal[0, 90, 180, 270], masks: Masks) -> None:
        self.camera = camera
        self.rotate_deg = rotate
        self._polygons = [np.round(np.array(polygon)).astype(np.int32) for polygon in masks]

    def open(self) -> Stream:
        return RotateMaskStream(self.camera.open(), self.rotate_deg, self._polygons)


class RotateMaskStream:
    def __init__(self, stream: Stream, rotate_deg: int, polygons: list[NDArray[np.int32]]) -> None:
        self._stream = stream
        self._rotate_deg = rotate_deg
        self._polygons = polygons
        self._unrotated: U8 | None = None  # buffer for the image before rotation; None without rotation

    def read(self, out: U8 | None) -> CapturedImage:
        captured = self._stream.read(self._unrotated if self._rotate_deg else out)
        if captured.image.size == 0:
            return captured
        image = self._rotate_image(captured.image, out) if self._rotate_deg else captured.image
        if self._polygons:
            if image is captured.image and image is not out:
                image = image.copy()  # it belongs to the camera
            cv2.fillPoly(image, self._polygons, (0, 0, 0))
        return captured if image is captured.image else replace(captured, image=image)

    def close(self) -> None:
        self._stream.close()

    @property
    def facts(self) -> StreamFacts | None:
        return getattr(self._stream, "facts", None)

    def _rotate_image(self, image: U8, out: U8 | None) -> U8:
        if self._unrotated is None or self._unrotated.shape != image.shape:
            self._unrotated = np.empty_like(image)
        return rotated(image, self._rotate_deg, out)
