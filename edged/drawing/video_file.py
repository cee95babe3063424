"""Images as a video file, which appears only when it is complete.

Frames go to a hidden file in the same folder. It is renamed on closing: at the end, on an error, on Ctrl-C.
Thread: one.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import cv2
import numpy as np

from edged.errors import NotWritten
from edged.frame import U8
from edged.units import BYTES_PER_MB, NS_PER_S

# What browsers and telephones play; the first that PyAV's FFmpeg has. H.264 plays everywhere, but its usual encoder,
# libx264, is under the GPL, and some builds leave it out. The options prefer speed to size: cameras do not wait.
H264, VP9 = "h264", "libvpx-vp9"
CODECS = {".mp4": (H264, VP9), ".mkv": (H264, VP9), ".webm": (VP9,)}
OPTIONS = {
    H264: {"preset": "veryfast", "crf": "23"},
    VP9: {"deadline": "realtime", "cpu-used": "8", "crf": "32", "b": "0", "row-mt": "1"},
}
SUFFIXES = tuple(CODECS)
DEFAULT_HZ, MAX_HZ = 25.0, 240.0  # of a video without a rate; a higher one in a file is wrong
MAX_RATE_DENOMINATOR = 1001  # 29.97 Hz is 30000/1001
BT709, MPEG_RANGE = 1, 1  # FFmpeg's numbers: of the standard in all its lists of colours, and of the range 16 to 235
RESERVE_BYTES = 32 * BYTES_PER_MB  # disk space left free, for the file's index and for other programs
MAX_REPEAT_S = 2  # longest repetition of one frame to keep the video in real time


def check_suffix(path: Path) -> None:
    """Raise NotWritten unless the name ends in a known format."""
    if path.suffix.lower() not in SUFFIXES:
        raise NotWritten(f"{path}: unknown format; end the name in one of {', '.join(SUFFIXES)}", "suffix")


def rate_and_length(path: Path) -> tuple[float, int | None]:
    """The rate of a video in Hz, and its number of frames; None where the file does not say."""
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            rate_hz, frames = float(stream.average_rate or 0), stream.frames
    except (av.FFmpegError, IndexError):  # IndexError: no video in it
        return DEFAULT_HZ, None
    return (rate_hz if 0 < rate_hz <= MAX_HZ else DEFAULT_HZ), frames or None


class VideoWriter:
    """A video of constant size and rate; frames of another size are scaled to fit, with black borders.

    Raises NotWritten when the file cannot be written or there is no encoder for it.
    """

    def __init__(self, path: Path, fps: float, size_wh: tuple[int, int], *, reserve_bytes: int = RESERVE_BYTES) -> None:
        check_suffix(path)
        self._path = path
        self._part = path.with_name(f".{path.stem}.part{path.suffix}")
        self._fps = fps
        self._size_wh = (size_wh[0] + size_wh[0] % 2, size_wh[1] + size_wh[1] % 2)  # codecs need even sides
        self._canvas: U8 = np.zeros((self._size_wh[1], self._size_wh[0], 3), np.uint8)
        self._rate = Fraction(fps).limit_denominator(MAX_RATE_DENOMINATOR)
        self._start_ns = 0
        self._reserve_bytes = reserve_bytes
        self.frames = 0
        _check_writable(self._part)
        self._container, self._stream = _open(self._part, self._rate, self._size_wh)

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        elif self._finish():
            self._part.replace(self._path)

    def write(self, image: U8, captured_ns: int | None = None) -> None:
        """Add a frame, (H, W, 3) uint8 BGR. With its capture time, it is repeated or skipped to keep real time.

        Raises NotWritten when the disk is full.
        """
        if shutil.disk_usage(self._part.parent).free < self._reserve_bytes:
            text = f"{self._path}: stopped after {self.frames} frames, the disk is full. Free some space"
            raise NotWritten(text, "disk_full")
        fitted = self._fit(image)
        for _ in range(self._repeat_count(captured_ns)):
            self._encode(fitted)

    def _encode(self, image: U8) -> None:
        picture = av.VideoFrame.from_ndarray(image, format="bgr24")
        frame = picture.reformat(format="yuv420p", dst_colorspace=BT709, dst_color_range=MPEG_RANGE)
        frame.pts, frame.time_base = self.frames, 1 / self._rate
        try:
            self._container.mux(self._stream.encode(frame))
        except av.FFmpegError as exc:
            raise NotWritten(f"{self._path}: {exc.strerror} after {self.frames} frames", "codec") from exc
        self.frames += 1

    def close(self) -> None:
        """Rename the complete file. Raises NotWritten when it holds nothing playable."""
        if not self._finish():
            text = f"{self._path}: {self.frames} frames written, none can be read back. No file was made"
            raise NotWritten(text, "empty")
        self._part.replace(self._path)

    def _finish(self) -> bool:
        """Whether the hidden file holds a playable video; it is removed otherwise."""
        with suppress(av.FFmpegError), self._container:  # what is missing shows when the file is read back
            self._container.mux(self._stream.encode(None))
        good = self.frames > 0 and _is_playable(self._part)
        if good:
            with self._part.open("rb") as file:
                os.fsync(file.fileno())
        else:
            self._part.unlink(missing_ok=True)
        return good

    def _repeat_count(self, captured_ns: int | None) -> int:
        """How many times a frame of this time is written, 0 to skip it."""
        if captured_ns is None:
            return 1
        if self.frames == 0:
            self._start_ns = captured_ns
        due = round((captured_ns - self._start_ns) / NS_PER_S * self._fps) + 1 - self.frames
        longest = max(1, round(MAX_REPEAT_S * self._fps))
        if due > longest:  # after an outage of the source, go on from here
            self._start_ns += round((due - longest) / self._fps * NS_PER_S)
        return min(max(due, 0), longest)

    def _fit(self, image: U8) -> U8:
        """The image, scaled into the middle of a black canvas where its size differs."""
        height, width = image.shape[:2]
        if (width, height) == self._size_wh:
            return image
        scale = min(self._size_wh[0] / width, self._size_wh[1] / height, 1e6)
        if self._size_wh == (width + width % 2, height + height % 2):
            scale = 1.0  # padded by one row or column only
        wh = max(1, round(width * scale)), max(1, round(height * scale))
        x, y = (self._size_wh[0] - wh[0]) // 2, (self._size_wh[1] - wh[1]) // 2
        self._canvas[:] = 0
        self._canvas[y : y + wh[1], x : x + wh[0]] = image if scale == 1 else cv2.resize(image, wh)
        return self._canvas


def _check_writable(part: Path) -> None:
    try:
        part.open("wb").close()
    except OSError as exc:
        text = f"{part.parent}: {exc.strerror}. Choose a folder that exists and can be written"
        raise NotWritten(text, "folder") from exc


def _open(part: Path, rate: Fraction, size_wh: tuple[int, int]) -> tuple[av.container.OutputContainer, av.VideoStream]:
    for codec in CODECS[part.suffix.lower()]:
        container = av.open(str(part), "w", container_options={"movflags": "+faststart"})
        try:
            stream = container.add_stream(codec, rate, OPTIONS[codec])
            stream.width, stream.height, stream.pix_fmt = *size_wh, "yuv420p"
            context = stream.codec_context
            context.colorspace = context.color_primaries = context.color_trc = BT709
            context.color_range = MPEG_RANGE
            context.open()
        except (av.FFmpegError, av.codec.codec.UnknownCodecError):
            container.close()
            continue
        return container, stream
    part.unlink(missing_ok=True)
    video_format = f"{part.suffix} video of {size_wh[0]} x {size_wh[1]} px at {float(rate):g} Hz"
    raise NotWritten(f"{video_format}: this PyAV has no encoder for it. Try another format or size", "codec")


def _is_playable(path: Path) -> bool:
    try:
        with av.open(str(path)) as container:
            return next(container.decode(video=0), None) is not None
    except (av.FFmpegError, IndexError):  # IndexError: no video in it
        return False
