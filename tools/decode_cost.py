"""CPU time to decode a 1080p frame, beside OpenCV as edged used it before: `python -m tools.decode_cost`, two minutes.

The demo clip, enlarged, as files and from a network camera in a process of its own; the two read it in turn. Counted is
the CPU time of all threads of this process. Writes tools/reports/decode_cost.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import av
import cv2

from edged.capture.camera import Stream
from edged.capture.make_camera import make_camera
from edged.capture.sources.opencv import LiveStream, configure_opencv
from edged.config.tables.camera import CameraConfig
from edged.frame import U8
from edged.runtime.allocator import limit_arenas
from tools.demo import CLIP
from tools.reports.writer import environment, environment_line, number, table, write

OUT = Path(__file__).parent / "reports/decode_cost"
SIZE_WH, RATE_HZ = (1920, 1080), 30
KINDS = {  # container, encoder, its options
    "H.264": ("h264.mp4", "libx264", {"preset": "veryfast", "bf": "0", "b": "4M", "g": "30"}),
    "Motion JPEG": ("mjpeg.avi", "mjpeg", {"qmin": "5", "qmax": "5"}),
    "H.265": ("h265.mp4", "libx265", {"preset": "ultrafast", "b": "3M", "x265-params": "log-level=none:bframes=0"}),
}
FIRST = 10  # frames that are not counted: the opening, and memory that is taken once


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.decode_cost", description=__doc__)
    parser.add_argument("--frames", type=int, default=60, help="of a turn")
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--out", type=Path, default=OUT, help="folder of the report")
    args = parser.parse_args()
    limit_arenas()
    configure_opencv()
    rows: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind, (name, encoder, options) in KINDS.items():
            path = encode(Path(folder) / name, encoder, options, args.frames)
            rows[f"{kind}, file"] = measure(str(path), args.frames, args.turns)
            if encoder != "mjpeg":
                with network_camera(path) as url:
                    rows[f"{kind}, RTSP"] = measure(url, args.frames, args.turns)
            print(rows, flush=True)
    cells = [[name, *(number(one, 2) for one in row.values())] for name, row in rows.items()]
    page = [
        "# Decode cost",
        "",
        f"`python -m tools.decode_cost`: CPU ms a frame of {SIZE_WH[0]}x{SIZE_WH[1]} px, from file or network "
        f"to BGR in memory, in {args.turns} turns of {args.frames} frames: medians, and the median ratio of a turn.",
        f"Load average at the end: {os.getloadavg()[0]:.0f}. "
        + environment_line(environment(("opencv-python", "opencv-python-headless", "av"))),
        "",
        *table(("what is read", "OpenCV", "edged", "ratio"), cells),
    ]
    write(args.out, page, rows, name="decode_cost")
    print(*page, sep="\n")


def encode(path: Path, encoder: str, options: dict[str, str], frames: int) -> Path:
    """The demo clip, enlarged."""
    with av.open(str(CLIP)) as clip, av.open(str(path), "w") as out:
        track: Any = out.add_stream(encoder, rate=RATE_HZ, options=options)
        track.width, track.height = SIZE_WH
        track.pix_fmt = "yuvj420p" if encoder == "mjpeg" else "yuv420p"
        for frame in islice(clip.decode(video=0), frames):
            image = cv2.resize(frame.to_ndarray(format="bgr24"), SIZE_WH, interpolation=cv2.INTER_CUBIC)
            out.mux(track.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        out.mux(track.encode(None))
    return path


@contextmanager
def network_camera(path: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "tools.rtsp_server", str(path), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None  # noqa: S101  for mypy: it is a pipe
        try:
            yield process.stdout.readline().split()[0]
        finally:
            process.terminate()


def measure(source: str, frames: int, turns: int) -> dict[str, float]:
    """CPU ms a frame by OpenCV and by edged, which read in turn; medians."""
    for read in (by_opencv, by_edged):
        read(source, frames)  # not counted: libraries are loaded
    spent = [(by_opencv(source, frames), by_edged(source, frames)) for _ in range(turns)]
    before, now = map(statistics.median, zip(*spent, strict=True))
    ratio = statistics.median(edged / opencv for opencv, edged in spent)
    return {"opencv_ms": before, "edged_ms": now, "ratio": ratio}


def by_opencv(source: str, frames: int) -> float:
    """As edged read before: a network camera in one thread, because each further one holds a frame back."""
    capture = cv2.VideoCapture()
    capture.open(source, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1] if source.startswith("rtsp:") else [])
    return cpu_ms(LiveStream(capture, source), frames)


def by_edged(source: str, frames: int) -> float:
    return cpu_ms(make_camera("cam", CameraConfig.model_validate({"source": source, "realtime": False})).open(), frames)


def cpu_ms(stream: Stream, frames: int) -> float:
    """Of a frame, into a buffer; all threads."""
    out: U8 | None = None
    begun_s = 0.0
    with closing(stream):
        for at in range(frames):
            if at == FIRST:
                begun_s = time.process_time()
            out = stream.read(out).image
        return 1e3 * (time.process_time() - begun_s) / (frames - FIRST)


if __name__ == "__main__":
    main()
