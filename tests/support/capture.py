"""Images of one grey, and settings of a camera that retries at once."""

from __future__ import annotations

import numpy as np

from edged.config.tables.camera import CameraConfig
from edged.frame import U8


def image(grey: int = 0, width: int = 4, height: int = 2) -> U8:
    return np.full((height, width, 3), grey, np.uint8)


def settings(source: str = "0", **keys: object) -> CameraConfig:
    return CameraConfig.model_validate({"source": source, "retry_max_s": 0.1, **keys})


FILE = settings("clip.mp4", realtime=False)
