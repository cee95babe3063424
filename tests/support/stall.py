"""A stall on an image of 100 x 100 px, and results of frames of it."""

from __future__ import annotations

import numpy as np

from edged.behaviour.horse.keypoints import Box
from edged.config.tables.stall import StallConfig
from edged.frame import FrameResult, ImageQuality, TrackedSubject
from edged.units import ns

STALL = StallConfig(
    enabled=True,
    floor=((0, 100), (100, 100), (100, 50), (0, 50)),
    open_sides=(0,),
    zones={"feeder": ((10, 10), (20, 10), (20, 20))},
)


def subject(label: str, *, number: int = 1, box: Box = (0, 0, 10, 10), detected: bool = True) -> TrackedSubject:
    return TrackedSubject(
        id=number,
        label=label,
        score=0.9,
        xyxy=np.array(box, np.float32),
        keypoints=None,
        smoothed=None,
        schema=None,
        box_source="detected" if detected else "tracked",
    )


def result(*subjects: TrackedSubject, camera: str = "a", t_s: float = 0.0) -> FrameResult:
    return FrameResult(
        camera=camera,
        seq=0,
        captured_ns=ns(t_s),
        done_ns=ns(t_s),
        size_wh=(100, 100),
        subjects=subjects,
        quality=ImageQuality(brightness=100, contrast=100, sharpness=1),
        stage_ns={},
    )
