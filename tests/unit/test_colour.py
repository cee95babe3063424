"""Camera formats as BGR: OpenCV's conversion equals the definition, to the bit."""

import numpy as np
import pytest

pytest.importorskip("cv2", reason="needs OpenCV; install edged[cpu]")

from edged.frame import PixelFormat, image_shape, image_size
from edged.inference.colour import PIXEL_FORMATS, to_bgr
from edged.inference.cpu import pixels


@pytest.mark.parametrize("pixel_format", PIXEL_FORMATS)
@pytest.mark.parametrize("size_wh", [(2, 2), (38, 26), (640, 480)], ids=str)
def test_opencv_bgr_equals_definition(pixel_format: PixelFormat, size_wh: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, image_shape(size_wh, pixel_format), np.uint8)
    assert image_size(image, pixel_format) == size_wh
    np.testing.assert_array_equal(to_bgr(image, pixel_format), pixels.to_bgr(image, pixel_format))


def test_yuyv_limited_range_maps_to_black_and_white() -> None:
    image = np.full((1, 2, 2), 128, np.uint8)
    image[0, :, 0] = 16, 235
    assert to_bgr(image, "yuyv").tolist() == [[[0, 0, 0], [255, 255, 255]]]
