"""A network camera that is larger than any is refused before it takes memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from edged.capture.sources.opencv import LiveStream
from edged.capture.sources.video_reader import VideoReader
from edged.errors import CameraLost
from edged.frame import U8
from tests.support.clips import write_video
from tests.support.raising import raises_code

LARGE_WH = (8208, 4352)  # 36 megapixels, less than a file may have


def one_picture(path: Path, size_wh: tuple[int, int]) -> Any:
    """An open JPEG video of one black picture."""
    black = np.zeros((size_wh[1], size_wh[0], 3), np.uint8)
    return av.open(str(write_video(path, [black], codec="mjpeg", pixel_format="yuvj420p", options={})))


def test_network_camera_of_more_than_8k_is_refused_at_open_and_when_its_size_changes(tmp_path: Path) -> None:
    with one_picture(tmp_path / "large.avi", LARGE_WH) as large, one_picture(tmp_path / "small.avi", (64, 48)) as small:
        VideoReader(large, live=False, transport=False)
        with raises_code(CameraLost, "size"):
            VideoReader(large, live=True, transport=True)
        codec = VideoReader(small, live=True, transport=True).codec
        with pytest.raises(av.FFmpegError):
            codec.decode(next(large.demux(video=0)))


class LargeCapture:
    """cv2's capture of such a camera; its image takes no memory."""

    def grab(self) -> bool:
        return True

    def retrieve(self) -> tuple[bool, U8]:
        return True, np.broadcast_to(np.uint8(0), (LARGE_WH[1], LARGE_WH[0], 3))


def test_large_image_from_gstreamer_is_refused() -> None:
    with raises_code(CameraLost, "size"):
        LiveStream(LargeCapture(), "rtsp://a").read(None)
