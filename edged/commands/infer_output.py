"""What `edged infer` shows of a path besides its results: a progress bar, and a line at the end."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from edged.capture.sources.files import is_still
from edged.capture.sources.image_files import IMAGE_SUFFIXES
from edged.drawing.video_file import rate_and_length
from edged.frame import Frame, FrameResult
from edged.loop import Sink
from edged.units import plural


class Summary:
    """A sink of the loop: counts frames, and those in which each class was seen."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._started_s = time.monotonic()
        self._frames = 0
        self._seen: Counter[str] = Counter()

    def __call__(self, frame: Frame, result: FrameResult) -> None:
        self._frames += 1
        self._seen.update({subject.label for subject in result.subjects})

    def line(self) -> str:
        """Such as `clip.mp4: 596 frames, person in 540; 9.9 frames/s`; for a path that could be read."""
        path = Path(self._path)
        noun = "image" if path.is_dir() or is_still(path) else "frame"
        rate = self._frames / max(time.monotonic() - self._started_s, 1e-3)
        seen = ", ".join(f"{label} in {frames}" for label, frames in self._seen.most_common())
        count = plural(self._frames, noun)
        return f"{self._path}: {count}, {seen or 'nobody in any'}; {rate:.1f} {noun}s/s"


@contextmanager
def progress_bar(path: Path) -> Iterator[Sink]:
    """A sink that moves a bar on stderr; nothing is drawn where that is not a terminal."""
    console = Console(file=sys.stderr)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(path.name, total=None if bar.disable else _length(path))
        yield lambda frame, result: bar.advance(task)


def _length(path: Path) -> int | None:
    """How many frames or images there are; None where that is not known before they are read."""
    if path.is_dir():
        return sum(file.suffix.lower() in IMAGE_SUFFIXES for file in path.iterdir())
    if not path.is_file():
        return None
    return 1 if is_still(path) else rate_and_length(path)[1]
