"""The first picture of README: `python -m tools.demo.picture tools/demo/annotated.webp`.

Two rendered stills side by side, by day and by infrared, as the present starter models see them: make it anew after a
training, since a model may lose what the picture shows.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np

from edged.capture.sources.image_files import load_image
from edged.config.load import camera_from_source
from edged.config.tree import Config
from edged.drawing.annotate import annotate
from edged.frame import Frame
from edged.inference.load_models import load_models
from edged.pipeline import Pipeline

STILLS = Path(__file__).parents[1] / "synth/stills"
NAMES = ("paddock", "stall_by_night")
QUALITY = 85  # of the WebP


def main(path: str) -> None:
    config = Config()
    models = load_models(config.models, config.compute)
    pictures = []
    for name in NAMES:  # a pipeline each: every picture begins with id 1
        still = STILLS / f"{name}.webp"
        pipeline = Pipeline(camera_from_source(str(still)), models.backend, models.detector, models.poses)
        image = load_image(still)
        result = pipeline.run(Frame(camera="still", seq=0, captured_ns=0, image=image))
        pictures.append(annotate(image, result, models.keypoint_thresholds))
    cv2.imwrite(path, np.hstack(pictures), (cv2.IMWRITE_WEBP_QUALITY, QUALITY))


if __name__ == "__main__":
    main(*sys.argv[1:])
