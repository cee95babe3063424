"""What cameras give as BGR: OpenCV's conversion is the defined one, to the bit."""

import numpy as np
import pytest

pytest.importorskip("cv2", reason="needs OpenCV; install edged[cpu]")

from edged.capture.sources import opencv
from edged.frame import PixelFormat, image_shape, image_size
from edged.inference.colour import PIXEL_FORMATS, to_bgr


@pytest.mark.parametrize("form", PIXEL_FORMATS)
@pytest.mark.parametrize("size_wh", [(2, 2), (38, 26), (640, 480)], ids=str)
def test_opencv_s_bgr_is_the_defined_one(form: PixelFormat, size_wh: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, image_shape(size_wh, form), np.uint8)
    assert image_size(image, form) == size_wh
    assert to_bgr(image, form).tolist() == opencv.to_bgr(image, form).tolist()


def test_black_and_white_are_the_ends_of_limited_range() -> None:
    image = np.full((1, 2, 2), 128, np.uint8)
    image[0, :, 0] = 16, 235
    assert to_bgr(image, "yuyv").tolist() == [[[0, 0, 0], [255, 255, 255]]]
