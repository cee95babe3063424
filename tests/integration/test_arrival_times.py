"""When a live picture arrived, which FFmpeg tells of only when the next one begins."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from edged.capture.sources.video_reader import VideoReader
from edged.frame import U8
from tests.support.clips import write_video

H264: dict[str, Any] = {"codec": "libx264", "pixel_format": "yuv420p", "options": {"tune": "zerolatency"}}
JPEG: dict[str, Any] = {"codec": "mjpeg", "pixel_format": "yuvj420p", "options": {}}
REORDERED = H264 | {"options": {"bf": "2", "x264-params": "b-adapt=0:b-pyramid=0"}}  # sent as 0 3 1 2
INTERLACED = H264 | {"options": {"tune": "zerolatency", "flags": "+ildct+ilme", "x264-params": "tff=1"}}


@pytest.mark.parametrize(
    ("kind", "live", "arrived"),
    [
        pytest.param(H264, True, [0, 0, 1, 2], id="live"),
        pytest.param(H264, False, [0, 1, 2, 3], id="file"),
        pytest.param(JPEG, True, [0, 1, 2, 3], id="Motion JPEG"),
        pytest.param(REORDERED, True, [0, 1, 2, 2], id="B-frames"),
        pytest.param(INTERLACED, True, [0, 0, 1, 2], id="interlaced"),
    ],
)
def test_live_picture_has_the_time_at_which_it_began_to_arrive(
    kind: dict[str, Any], live: bool, arrived: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images: list[U8] = [np.full((64, 64, 3), 20 * number, np.uint8) for number in range(4)]
    path = write_video(tmp_path / "clip.mkv", images, **kind)
    reads = count()
    monkeypatch.setattr("edged.capture.sources.video_reader.time.monotonic_ns", lambda: next(reads))
    container: Any
    with av.open(str(path)) as container:
        reader = VideoReader(container, live=live, transport=live)
        reader.codec.thread_count = 1  # several threads give a picture some packets late, as many as there are
        times: list[int] = []
        while len(times) < len(images):
            if (picture := reader.poll()) is not None:
                times.append(picture.arrived_ns)
    assert times == arrived
