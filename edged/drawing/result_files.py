"""Annotated copies of files: a picture of each image, a video of a video."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from edged.drawing.annotate import annotate
from edged.drawing.image_file import is_image, write_image
from edged.drawing.video_file import VideoWriter, rate_and_length
from edged.errors import NotWritten
from edged.frame import Frame, FrameResult
from edged.inference.cpu.pixels import to_bgr


class ResultFolder:
    """Where the copies go. Names stay, but for their endings; where two would be the same, the whole name is kept."""

    def __init__(self, path: Path) -> None:
        """Raises NotWritten when the folder cannot be made."""
        self._path = path
        self._taken: set[Path] = set()
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise NotWritten(f"{path}: {exc.strerror}. Choose a folder that can be made here", "folder") from exc

    def check(self, source: Path) -> None:
        """Raise NotWritten where a copy could replace its original."""
        if self._path.resolve() in (source.resolve(), source.resolve().parent):
            raise NotWritten(f"{self._path}: holds the originals. Choose another folder to save into", "folder")

    def file(self, source: Path, suffix: str) -> Path:
        """The name of the copy of a file; it is not given twice."""
        file = self._path / f"{source.stem}{suffix}"
        if file in self._taken:
            file = self._path / f"{source.name}{suffix}"
        self._taken.add(file)
        return file


class ResultFiles:
    """A sink of the loop, for one source. Thread: the loop's."""

    def __init__(self, folder: ResultFolder, source: Path, keypoint_thresholds: Mapping[str, float]) -> None:
        """Raises NotWritten where a copy could replace its original."""
        folder.check(source)
        self._folder = folder
        self._source = source
        self._keypoint_thresholds = keypoint_thresholds
        self._is_video = source.is_file() and not is_image(source)
        self._video: VideoWriter | None = None

    def __enter__(self) -> ResultFiles:
        return self

    def __call__(self, frame: Frame, result: FrameResult) -> None:
        picture = annotate(to_bgr(frame.image, frame.pixel_format), result, self._keypoint_thresholds)
        if not self._is_video:
            write_image(self._folder.file(Path(frame.source or self._source), ".jpg"), picture)
            return
        if self._video is None:
            path = self._folder.file(self._source, ".mp4")
            self._video = VideoWriter(path, rate_and_length(self._source)[0], result.size_wh)
        self._video.write(picture, frame.source_ns)

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        if self._video is not None:
            self._video.__exit__(kind, value, at)
