"""Writes images to an H.264 file and their truth to a compressed JSON file; needs PyAV."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import numpy as np

from tools.synth.truth import Truth
from tools.synth.types import U8


class Film:
    """Writes an MP4 file: yuv420p, no sound."""

    def __init__(self, path: Path, fps: int, size_wh: tuple[int, int], crf: int = 24) -> None:
        self._file = av.open(str(path), "w")
        self._stream = self._file.add_stream("libx264", rate=fps)
        self._stream.width, self._stream.height = size_wh
        self._stream.pix_fmt = "yuv420p"
        self._stream.options = {"crf": str(crf), "preset": "slow", "movflags": "+faststart"}

    def __enter__(self) -> Film:
        return self

    def write(self, image: U8) -> None:
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="bgr24")
        self._file.mux(self._stream.encode(frame))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._file.mux(self._stream.encode())
        self._file.close()


def truth_path(clip: Path) -> Path:
    """Return the path of the truth of a clip."""
    return clip.with_suffix(".json.gz")


def write_film(
    clip: Path, pictures: Iterable[tuple[U8, list[Truth]]], fps: int, size_wh: tuple[int, int], crf: int
) -> int:
    """Write a clip and its truth; return the number of frames."""
    frames: list[list[dict[str, Any]]] = []
    with Film(clip, fps, size_wh, crf) as film:
        for image, truths in pictures:
            film.write(image)
            frames.append([truth.as_dict() for truth in truths])
    document = {"fps": fps, "size": list(size_wh), "frames": frames}
    text = json.dumps(document, separators=(",", ":"))
    truth_path(clip).write_bytes(gzip.compress(text.encode(), mtime=0))
    return len(frames)


def read_truth(clip: Path) -> Iterator[list[dict[str, Any]]]:
    """Yield the truth of each frame of a clip."""
    yield from json.loads(gzip.decompress(truth_path(clip).read_bytes()))["frames"]
