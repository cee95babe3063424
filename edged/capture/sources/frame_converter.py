"""FFmpeg's frames as BGR images: square pixels, upright, in the colours that the stream declares.

Transfer functions are left alone, so that HLG and PQ keep all their steps.
"""

from __future__ import annotations

import struct
from fractions import Fraction
from math import atan2, degrees
from typing import Any, NamedTuple

import av
import cv2
import numpy as np
from av.sidedata.sidedata import Type as SideData
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from edged.capture.sources.depth import to_8_bit
from edged.capture.sources.rotation import rotated
from edged.errors import CameraLost
from edged.frame import U8

SIDE_LIMITS_PX = (16, 16384)  # of an image that is accepted as a camera's
MAX_PIXELS = 8192 * 8192  # of an image from a file: 200 MB in BGR
# PyAV resolves an enumeration by Python for every frame, and takes a number as it is.
FULL_RANGE = int(ColorRange.JPEG)
BICUBIC = int(Interpolation.BICUBIC)  # as OpenCV does it: of 10 bits, bilinear takes 1 % of the red
NEARLY_SQUARE = Fraction(1, 50)  # a pixel's sides that differ by less are rounding of the display size
GREY_16_BITS = frozenset(["gray16be", "gray16le"])
MAX_ASPECT = 8  # a pixel's sides that differ by more are an error of the stream


class Orientation(NamedTuple):
    """What makes a picture upright: it is mirrored left to right, and then turned clockwise, in degrees."""

    turn: int = 0
    mirrored: bool = False


UPRIGHT = Orientation()


class FrameConverter:
    """Of one stream; keeps swscale's state between frames."""

    def __init__(self, max_pixels: int = MAX_PIXELS) -> None:
        self._reformatter = VideoReformatter()
        self._max_pixels = max_pixels

    def convert(self, frame: Any, pixel_aspect: Fraction | None, orientation: Orientation, out: U8 | None) -> U8:
        """(H, W, 3) uint8 BGR, made upright by `orientation`, in `out` where it fits.

        Raises CameraLost for a size that no camera has.
        """
        width, height = square_size((frame.width, frame.height), pixel_aspect)
        check_size((width, height), self._max_pixels)
        if frame.format.name in GREY_16_BITS:  # readings of a thermal camera, mostly, which use few of their levels
            frame = av.VideoFrame.from_ndarray(to_8_bit(frame.to_ndarray()), "bgr24")
        plane = self._reformat(frame, width, height).planes[0]
        image: U8 = np.ndarray((height, width, 3), np.uint8, plane, strides=(plane.line_size, 3, 1))
        if orientation.mirrored:
            image = np.asarray(cv2.flip(image, 1), np.uint8)
        if orientation.turn:
            return rotated(image, orientation.turn, out)
        if out is not None and out.shape == image.shape:
            np.copyto(out, image)
            return out
        return np.ascontiguousarray(image)

    def _reformat(self, frame: Any, width: int, height: int) -> Any:
        reformat: Any = self._reformatter.reformat
        wanted = {"width": width, "height": height, "format": "bgr24", "dst_color_range": FULL_RANGE, "threads": 1}
        wanted["interpolation"] = BICUBIC
        try:
            return reformat(frame, **wanted)
        except (av.FFmpegError, ValueError):  # a colour description that swscale does not know
            frame.colorspace = Colorspace.ITU601
            return reformat(frame, **wanted)


def square_size(size_wh: tuple[int, int], pixel_aspect: Fraction | None) -> tuple[int, int]:
    """Width and height with square pixels; the shorter side of a pixel is stretched, so that no detail is lost."""
    width, height = size_wh
    if pixel_aspect is None or not is_anamorphic(pixel_aspect):
        return width, height
    return (round(width * pixel_aspect), height) if pixel_aspect > 1 else (width, round(height / pixel_aspect))


def is_anamorphic(pixel_aspect: Fraction | None) -> bool:
    """Whether pixels of this width : height are not square; None and 0 mean that the stream does not say."""
    if not pixel_aspect:
        return False
    return abs(pixel_aspect - 1) > NEARLY_SQUARE and 1 / Fraction(MAX_ASPECT) <= pixel_aspect <= MAX_ASPECT


def orientation_of(frame: Any) -> Orientation:
    """What makes the frame upright, by its display matrix; its turn is a multiple of 90. Source: libavutil/display.h"""
    matrix = frame.side_data.get(SideData.DISPLAYMATRIX)
    if matrix is None:
        return UPRIGHT
    a, b, _, c, d = struct.unpack("=5i", bytes(matrix)[:20])
    mirrored = a * d < b * c
    if mirrored:
        a, b = -a, -b
    return Orientation(round(degrees(atan2(b, a)) / 90) * 90 % 360, mirrored)


def check_size(size_wh: tuple[int, int], max_pixels: int = MAX_PIXELS) -> None:
    """Raises CameraLost for a size that no camera has."""
    low, high = SIDE_LIMITS_PX
    if not (low <= min(size_wh) and max(size_wh) <= high and size_wh[0] * size_wh[1] <= max_pixels):
        width, height = size_wh
        text = f"{width}x{height} px; want {low} to {high} px each way and {max_pixels // 1_000_000} megapixels at most"
        raise CameraLost(text, "size")
