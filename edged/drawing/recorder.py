"""`edged run --save-video`: annotated frames of one camera as a video file, with a progress bar on a terminal."""

from __future__ import annotations

import sys
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from edged.config.tables.camera import CameraConfig
from edged.drawing.annotate import annotate
from edged.drawing.side_view import beside, side_size
from edged.drawing.video_file import VideoWriter, check_suffix, rate_and_length
from edged.frame import Frame, FrameResult
from edged.inference.cpu.pixels import to_bgr

LIVE_HZ = 15.0  # of a camera without a known rate


class Recorder:
    """A sink of the loop. The video is opened at the first frame and has its size; with `lift`, a side view.

    Thread: the loop's.
    """

    def __init__(self, path: Path, camera: CameraConfig, keypoint_thresholds: dict[str, float]) -> None:
        check_suffix(path)  # before anything runs
        self._path = path
        self._recorded = camera.source_kind == "files" and not camera.realtime
        self._keypoint_thresholds = keypoint_thresholds
        self._space = camera.lift
        self._rate_hz, frames = _rate_and_length(camera)
        self._writer: VideoWriter | None = None
        self._console = Console(file=sys.stderr)
        columns = (TextColumn(str(path), markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=self._console, disable=not self._console.is_terminal)
        self._task = self._bar.add_task("video", total=frames)

    def __enter__(self) -> Recorder:
        self._bar.start()
        return self

    def __call__(self, frame: Frame, result: FrameResult) -> None:
        if self._writer is None:
            size_wh = side_size(result.size_wh) if self._space else result.size_wh
            self._writer = VideoWriter(self._path, self._rate_hz, size_wh)
        at_ns = frame.source_ns if self._recorded else frame.captured_ns
        picture = annotate(to_bgr(frame.image, frame.pixel_format), result, self._keypoint_thresholds)
        self._writer.write(beside(picture, result) if self._space else picture, at_ns)
        self._bar.advance(self._task)

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self._bar.stop()
        said = "no frame came, so there is no video"
        if self._writer is not None:
            self._writer.__exit__(kind, value, at)
            said = f"{self._writer.frames / self._rate_hz:.0f} s of what it sees; play it"
        if kind is None:
            self._console.print(f"{self._path}: {said}", markup=False, highlight=False, soft_wrap=True)


def _rate_and_length(camera: CameraConfig) -> tuple[float, int | None]:
    """Rate in Hz and number of frames; None when the source has no end or does not say."""
    if camera.source_kind != "files" or not Path(camera.source.reveal()).is_file():
        return camera.fps or LIVE_HZ, None
    rate_hz, frames = rate_and_length(Path(camera.source.reveal()))
    return rate_hz, (None if camera.loop else frames)
