"""People made unrecognisable in pictures of stalls. A person that the detector never found stays as it is."""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np

from edged.frame import F32, U8, X0, X1, Y0, Y1, FrameResult
from edged.units import ns

PERSON = "person"
REMEMBERED_NS = ns(2)  # how long a place stays blurred after a person was last found there; by hand
MARGIN = 0.15  # of the box's sides, on each side; by hand
CELLS = 8  # across the shorter side of a box


class PeopleBlur:
    """One camera. Boxes of the last two seconds count, so that a person who is missed in a frame stays hidden."""

    def __init__(self) -> None:
        self._boxes: deque[tuple[int, F32]] = deque()

    def record(self, result: FrameResult) -> None:
        """Remember where people are; of every result, whether its picture is used or not."""
        found = [subject.xyxy for subject in result.subjects if subject.label == PERSON]
        self._boxes.extend((result.captured_ns, box) for box in found)
        while self._boxes and result.captured_ns - self._boxes[0][0] > REMEMBERED_NS:
            self._boxes.popleft()

    @property
    def boxes(self) -> list[F32]:
        """Each (4,) x0 y0 x1 y1, px."""
        return [box for _, box in self._boxes]


def blur_people(image: U8, boxes: list[F32]) -> None:
    """Pixelate the boxes, each (4,) px and a margin, in an (H, W, 3) uint8 image."""
    height, width = image.shape[:2]
    for box in boxes:
        margin = MARGIN * (box[[X1, Y1]] - box[[X0, Y0]])
        x0, y0 = np.clip(np.floor(box[[X0, Y0]] - margin), 0, (width, height)).astype(int)
        x1, y1 = np.clip(np.ceil(box[[X1, Y1]] + margin), 0, (width, height)).astype(int)
        if x1 > x0 and y1 > y0:
            region = image[y0:y1, x0:x1]
            cell = max(1, min(region.shape[:2]) // CELLS)
            small = cv2.resize(
                region, (max(1, (x1 - x0) // cell), max(1, (y1 - y0) // cell)), interpolation=cv2.INTER_AREA
            )
            region[:] = cv2.resize(small, (x1 - x0, y1 - y0), interpolation=cv2.INTER_NEAREST)
