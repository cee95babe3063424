"""Images turned by right angles, so that they are upright."""

from __future__ import annotations

from typing import cast

import cv2

from edged.frame import U8

CV2_ROTATION = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}


def rotated(image: U8, turn_deg: int, out: U8 | None) -> U8:
    """The image (H, W, 3) turned clockwise by 90, 180 or 270 degrees; in `out` where it fits."""
    height, width = image.shape[:2]
    upright_hw = (height, width) if turn_deg == 180 else (width, height)
    fits = out is not None and out.shape == (*upright_hw, *image.shape[2:])
    return cast(U8, cv2.rotate(image, CV2_ROTATION[turn_deg], out if fits else None))
