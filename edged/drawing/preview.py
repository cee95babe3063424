"""`edged run --preview`: an annotated picture and some seconds of annotated video of the first camera with frames.

Both are written while the daemon runs. Where they cannot be written, that is said, and the daemon goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

from edged.drawing.annotate import annotate
from edged.drawing.image_file import write_image
from edged.drawing.video_file import VideoWriter
from edged.errors import NotWritten
from edged.frame import U8, Frame, FrameResult
from edged.inference.cpu.pixels import to_bgr
from edged.units import ns

CLIP_S = 20.0
CLIP_HZ = 15.0
PICTURE_PATIENCE_S = 5.0  # a picture without subjects is written when none has come for so long


class Preview:
    """A sink of the loop. `caption(camera)` is written below the picture; `say` gets a line for people.

    Thread: the loop's.
    """

    def __init__(
        self,
        stem: Path,
        keypoint_thresholds: Mapping[str, float],
        caption: Callable[[str], str],
        say: Callable[[str], None],
    ) -> None:
        self._picture_path = stem.with_name(f"{stem.name}.jpg")
        self._clip_path = stem.with_name(f"{stem.name}.mp4")
        self._keypoint_thresholds = keypoint_thresholds
        self._caption = caption
        self._say = say
        self._camera: str | None = None
        self._start_ns = 0
        self._has_picture = False
        self._latest: U8 | None = None
        self._clip: VideoWriter | None = None
        self._done = False

    def __enter__(self) -> Preview:
        return self

    def __call__(self, frame: Frame, result: FrameResult) -> None:
        if self._done or self._camera not in (None, frame.camera):
            return
        if self._camera is None:
            self._camera, self._start_ns = frame.camera, frame.captured_ns
        image = to_bgr(frame.image, frame.pixel_format)
        picture = annotate(image, result, self._keypoint_thresholds, self._caption(frame.camera))
        try:
            self._add(picture, result, frame.captured_ns)
        except NotWritten as exc:
            self._done = True
            self._say(str(exc))

    def _add(self, picture: U8, result: FrameResult, captured_ns: int) -> None:
        age_ns = captured_ns - self._start_ns
        self._latest = picture
        if result.subjects or age_ns > ns(PICTURE_PATIENCE_S):
            self._write_picture()
        if self._clip is None:
            self._clip = VideoWriter(self._clip_path, CLIP_HZ, result.size_wh)
        self._clip.write(picture, captured_ns)
        if age_ns >= ns(CLIP_S):
            self._close_clip()

    def _write_picture(self) -> None:
        """Of the latest frame, once."""
        if self._has_picture or self._latest is None:
            return
        self._has_picture = True
        write_image(self._picture_path, self._latest)
        self._say(f"{self._picture_path}: what it sees; look at it")

    def _close_clip(self) -> None:
        self._done = True
        if self._clip is not None:
            self._clip.close()
            frames, seconds = self._clip.frames, round(self._clip.frames / CLIP_HZ)
            length = f"{seconds} s" if seconds else f"{frames} frame{'s' if frames > 1 else ''}"
            self._say(f"{self._clip_path}: {length} of what it sees; play it")

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        if not self._done:
            try:
                self._write_picture()
                self._close_clip()
            except NotWritten as exc:
                self._say(str(exc))
