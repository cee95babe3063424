"""An animated WebP as a camera: its pictures at their own times. FFmpeg plays GIF, PNG and AVIF; OpenCV this one."""

from __future__ import annotations

from itertools import accumulate
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edged.capture.camera import CapturedImage
from edged.capture.sources.frame_converter import check_size
from edged.capture.sources.video_files import PlaybackClock
from edged.config.tables.camera import CameraConfig
from edged.errors import CameraLost, EndOfSource
from edged.frame import U8
from edged.units import NS_PER_MS, NS_PER_S

MAX_FRAMES = 1000  # they are all held in memory


class AnimationStream:
    def __init__(self, path: Path, settings: CameraConfig) -> None:
        if not hasattr(cv2, "imreadanimation"):
            text = (
                f"{path}: an animation; OpenCV {cv2.__version__} cannot play it, 4.11 can. Or save it as GIF or video"
            )
            raise CameraLost(text, "undecodable")
        good, animation = cv2.imreadanimation(str(path), 0, MAX_FRAMES)
        self._frames: list[Any] = list(animation.frames) if good else []
        if not self._frames:
            raise CameraLost(f"{path}: truncated, or not an image", "undecodable")
        check_size((self._frames[0].shape[1], self._frames[0].shape[0]))
        ends_ms = list(accumulate(animation.durations))
        self._starts_ns = [0, *(int(end) * NS_PER_MS for end in ends_ms)]  # of each picture, and the end of all
        self._path = path
        self._settings = settings
        self._clock = PlaybackClock(realtime=settings.realtime)
        self._read = 0  # over all rounds

    def read(self, out: U8 | None) -> CapturedImage:
        rounds, position = divmod(self._read, len(self._frames))
        if rounds and not self._settings.loop:
            raise EndOfSource(f"{len(self._frames)} frames read")
        source_ns = self._starts_ns[position]
        played_ns = rounds * self._starts_ns[-1] + source_ns
        number, self._read = self._read, self._read + 1
        due_ns = round(number * NS_PER_S / self._settings.fps) if self._settings.fps else played_ns
        return CapturedImage(
            image=np.ascontiguousarray(self._frames[position][:, :, :3]),
            captured_ns=self._clock.due_ns(due_ns),
            source=str(self._path),
            position=position,
            recorded_ns=None if self._settings.realtime else played_ns,
            source_ns=source_ns,
        )

    def close(self) -> None:
        self._frames = []
