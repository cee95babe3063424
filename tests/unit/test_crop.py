"""The crop of a pose model."""

import numpy as np
import pytest

from edged.inference.crop import Crop, crop_image


@pytest.mark.parametrize(
    ("box", "window"),
    [
        pytest.param([0, 0, 40, 200], (20, 100, 187.5, 250), id="tall boxes grow sideways"),
        pytest.param([0, 0, 200, 40], (100, 20, 250, 1000 / 3), id="wide boxes grow up and down"),
        pytest.param([10, 10, 10, 10], (10, 10, 1e-3, 4e-3 / 3), id="an empty box is a point, not a fault"),
    ],
)
def test_box_is_padded_then_grown_to_net_aspect(box: list[int], window: tuple[float, ...]) -> None:
    crop = Crop.around(np.array(box, np.float32), (192, 256), 1.25)
    assert (crop.cx, crop.cy, crop.width, crop.height) == pytest.approx(window, rel=0.35 if box[0] == 10 else 1e-6)


def test_net_and_image_coordinates_are_inverse() -> None:
    crop = Crop.around(np.array([30, 40, 130, 300], np.float32), (192, 256), 1.25)
    net = np.array([[0, 0], [96, 128], [191.5, 255.5]], np.float32)
    image = crop.to_image(net)
    assert image[1].tolist() == pytest.approx([80, 170])  # the middle of the net is the middle of the box
    again = crop.to_net @ np.vstack((image.T, np.ones(3)))
    assert pytest.approx(net, abs=1e-3) == again.T


def test_crop_outside_image_is_black() -> None:
    image = np.full((10, 10, 3), 200, np.uint8)
    crop = crop_image(image, Crop(0, 5, 10, 10, (10, 10)))  # the left half lies beyond the left edge
    assert crop[5, :, 0].tolist() == [0, 0, 0, 0, 0, 200, 200, 200, 200, 200]


def test_crop_of_image_size_equals_image() -> None:
    image = np.arange(300, dtype=np.uint8).reshape(10, 10, 3)
    assert np.array_equal(crop_image(image, Crop(5, 5, 10, 10, (10, 10))), image)
