"""A plane without models: the box still tells of its cameras, and says of every frame that nobody looked."""

from __future__ import annotations

from dataclasses import replace

from edged.adapters.opencv import to_bgr
from edged.adapters.plane_cpu import measure
from edged.frame import Boxes, Focus, Frame, Sight
from edged.gate import judge

STRIDE = 4  # pixels between those that are measured
NOBODY = "no-model"


class BlindPlane:
    """Measures the image and finds nothing in it."""

    def __init__(self, classes: tuple[str, ...]) -> None:
        self._classes = classes

    @property
    def classes(self) -> tuple[str, ...]:
        return self._classes

    def see(self, frame: Frame, focus: Focus, known: Boxes, *, detect: bool) -> Sight:
        image = to_bgr(frame.image, frame.form)
        x0, y0, x1, y1 = focus.roi or (0, 0, *frame.size_wh)
        clarity = judge(*measure(image[y0:y1:STRIDE, x0:x1:STRIDE]), focus.gate)
        blind = replace(clarity, degraded=(*clarity.degraded, NOBODY))
        return Sight(clarity=blind, boxes=Boxes.none(), keypoints=())

    def close(self) -> None:
        """Nothing to release."""
