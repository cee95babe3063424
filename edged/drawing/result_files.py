"""Annotated copies of files: a picture of each image, a video of a video."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain, count
from pathlib import Path
from types import TracebackType

from edged.capture.sources.files import is_still
from edged.drawing.annotate import annotate
from edged.drawing.image_file import write_image
from edged.drawing.side_view import beside, side_size
from edged.drawing.video_file import VideoWriter, rate_and_length
from edged.errors import NotWritten
from edged.frame import Frame, FrameResult
from edged.inference.cpu.pixels import to_bgr


class ResultFolder:
    """Where the copies go. Names stay, but for their endings; where two would be the same, the later gets a number."""

    def __init__(self, path: Path, sources: Iterable[Path]) -> None:
        """Raises NotWritten where a copy of `sources` could replace its original, or the folder cannot be made."""
        self._path = path
        self._taken: set[Path] = set()  # the copies, also those that are not complete yet
        for source in sources:
            if path.resolve() in (source.resolve(), source.resolve().parent):
                raise NotWritten(f"{path}: holds {source}. Choose another folder to save into", "folder")
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise NotWritten(f"{path}: {exc.strerror}. Choose a folder that can be made here", "folder") from exc

    @property
    def size(self) -> int:
        """How many copies there are."""
        return len(self._taken)

    def file(self, source: Path, suffix: str) -> Path:
        """The name of the copy of a file; it is not given twice."""
        names = chain([source.stem], (f"{source.stem}-{number}" for number in count(2)))
        file = next(file for name in names if (file := self._path / f"{name}{suffix}") not in self._taken)
        self._taken.add(file)
        return file


class ResultFiles:
    """A sink of the loop, for one source; with `space` people are drawn from the side too. Thread: the loop's."""

    def __init__(
        self, folder: ResultFolder, source: Path, keypoint_thresholds: Mapping[str, float], *, space: bool = False
    ) -> None:
        self._space = space
        self._folder = folder
        self._source = source
        self._keypoint_thresholds = keypoint_thresholds
        self._is_video = source.is_file() and not is_still(source)
        self._video: VideoWriter | None = None

    def __enter__(self) -> ResultFiles:
        return self

    def __call__(self, frame: Frame, result: FrameResult) -> None:
        picture = annotate(to_bgr(frame.image, frame.pixel_format), result, self._keypoint_thresholds)
        size_wh = result.size_wh
        if self._space:
            picture, size_wh = beside(picture, result), side_size(size_wh)
        if not self._is_video:
            write_image(self._folder.file(Path(frame.source or self._source), ".jpg"), picture)
            return
        if self._video is None:
            path = self._folder.file(self._source, ".mp4")
            self._video = VideoWriter(path, rate_and_length(self._source)[0], size_wh)
        self._video.write(picture, frame.source_ns)

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        if self._video is not None:
            self._video.__exit__(kind, value, at)
