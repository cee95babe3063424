"""A plane without models: the box still tells of its cameras, and says of every frame that nobody looked."""

from __future__ import annotations

from dataclasses import replace

from edged.capture.sources.opencv import to_bgr
from edged.frame import Boxes, Frame, InferenceParams, InferenceResult
from edged.inference.cpu.backend import image_quality
from edged.inference.image_quality import check_limits

STRIDE = 4  # pixels between those that are measured
NO_MODEL = "no-model"


class NullBackend:
    """Measures the image and finds nothing in it."""

    def __init__(self, classes: tuple[str, ...]) -> None:
        self._classes = classes

    @property
    def classes(self) -> tuple[str, ...]:
        return self._classes

    def infer(self, frame: Frame, params: InferenceParams, priors: Boxes, *, detect: bool) -> InferenceResult:
        image = to_bgr(frame.image, frame.pixel_format)
        x0, y0, x1, y1 = params.roi or (0, 0, *frame.size_wh)
        clarity = check_limits(*image_quality(image[y0:y1:STRIDE, x0:x1:STRIDE]), params.quality_limits)
        blind = replace(clarity, degraded=(*clarity.degraded, NO_MODEL))
        return InferenceResult(quality=blind, boxes=Boxes.empty(), keypoints=())

    def close(self) -> None:
        """Nothing to release."""
