"""The size of an image with square pixels, and the sizes that no camera has."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace

import pytest

pytest.importorskip("av", reason="FFmpeg's frames; install edged[cpu]")
pytest.importorskip("cv2", reason="needs OpenCV; install edged[cpu]")

from edged.capture.sources.frame_converter import check_size, square_size
from edged.capture.sources.video_reader import VideoReader
from edged.errors import CameraLost
from tests.support.raising import raises_code


@pytest.mark.parametrize(
    ("size_wh", "aspect", "want"),
    [
        pytest.param((640, 720), Fraction(2), (1280, 720), id="wide pixels"),
        pytest.param((1440, 1080), Fraction(4, 3), (1920, 1080), id="HDV"),
        pytest.param((720, 480), Fraction(8, 9), (720, 540), id="NTSC"),
        pytest.param((720, 576), Fraction(16, 15), (768, 576), id="PAL"),
        pytest.param((640, 360), None, (640, 360), id="unknown"),
        pytest.param((640, 360), Fraction(0), (640, 360), id="unknown as 0:1"),
        pytest.param((1280, 720), Fraction(1280, 1279), (1280, 720), id="rounding"),
        pytest.param((640, 360), Fraction(50), (640, 360), id="an error"),
    ],
)
def test_square_size_stretches_the_short_side_of_a_pixel(
    size_wh: tuple[int, int], aspect: Fraction | None, want: tuple[int, int]
) -> None:
    assert square_size(size_wh, aspect) == want


@pytest.mark.parametrize("size_wh", [(15, 99), (99, 15), (16385, 99), (9000, 9000)])
def test_size_that_no_camera_has_is_refused(size_wh: tuple[int, int]) -> None:
    check_size((7680, 4320))
    with raises_code(CameraLost, "size"):
        check_size(size_wh)


@pytest.mark.parametrize(("live", "limit"), [(True, 35), (False, 67)])
def test_stream_is_refused_by_its_size_before_memory_is_spent_on_it(live: bool, limit: int) -> None:
    codec = SimpleNamespace(width=8192, height=8200)
    track = SimpleNamespace(disposition=0, codec_context=codec, frames=0)
    container = SimpleNamespace(streams=SimpleNamespace(video=[track]))
    with raises_code(CameraLost, "size", f"{limit} megapixels"):
        VideoReader(container, live=live, transport=live)
