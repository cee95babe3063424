"""Pictures and clips made on the spot, and `edged` run on them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edged.capture.sources.opencv import configure_opencv

Done = subprocess.CompletedProcess[str]
Command = Callable[..., Done]

LIMIT_S = 180.0  # of any process; never reached when all is well


def picture(grey: int | None = None) -> NDArray[np.uint8]:
    """320 x 240 px of coloured blocks, sharp and bright enough to be looked at; or of one grey."""
    if grey is not None:
        return np.full((240, 320, 3), grey, np.uint8)
    blocks = np.random.default_rng(0).integers(0, 255, (30, 40, 3), np.uint8)
    return blocks.repeat(8, axis=0).repeat(8, axis=1)


def images(folder: Path, *pictures: NDArray[np.uint8]) -> Path:
    folder.mkdir()
    for number, image in enumerate(pictures):
        assert cv2.imwrite(str(folder / f"{number}.png"), image)
    return folder


def video(path: Path, count: int = 10) -> Path:
    configure_opencv()  # FFmpeg takes its log level once, at its first use
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10, (320, 240))
    for number in range(count):
        writer.write(np.roll(picture(), 4 * number, axis=1))
    writer.release()
    return path


def edged_process(*arguments: str | Path | float) -> Done:
    """Run it to its end, in a process of its own. A traceback is never an answer."""
    command = [sys.executable, "-m", "edged", *map(str, arguments)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=LIMIT_S)
    assert "Traceback" not in done.stderr, done.stderr
    return done
