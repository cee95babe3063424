"""The backend without models: cameras are still watched, and every frame says that nothing was detected in it."""

from __future__ import annotations

from dataclasses import replace

from edged.frame import Boxes, Frame, InferenceParams, InferenceResult
from edged.inference.cpu.pixels import image_quality, to_bgr
from edged.inference.image_quality import check_limits

STRIDE = 4  # px between measured pixels, both ways
NO_MODEL = "no-model"  # in `degraded`


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
        quality = check_limits(*image_quality(image[y0:y1:STRIDE, x0:x1:STRIDE]), params.quality_limits)
        quality = replace(quality, degraded=(*quality.degraded, NO_MODEL))
        return InferenceResult(quality=quality, boxes=Boxes.empty(), keypoints=())

    def close(self) -> None:
        """Nothing to release."""
