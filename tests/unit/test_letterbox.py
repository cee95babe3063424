"""Fitting an image into a square net, by hand-checked numbers."""

import numpy as np
import pytest

from edged.inference.letterbox import Letterbox, letterbox, normalise, resize


@pytest.mark.parametrize(
    ("image_wh", "placement", "fit"),
    [
        pytest.param((640, 480), "top-left", Letterbox(0.5, 0, 0, (320, 240)), id="landscape"),
        pytest.param((480, 640), "top-left", Letterbox(0.5, 0, 0, (240, 320)), id="portrait"),
        pytest.param((300, 255), "top-left", Letterbox(320 / 300, 0, 0, (320, 272)), id="enlarged"),
        pytest.param((500, 333), "top-left", Letterbox(0.64, 0, 0, (320, 213)), id="cut to whole pixels"),
        pytest.param((500, 334), "centred", Letterbox(0.64, 0, 53, (320, 214)), id="centred"),
        pytest.param((500, 333), "centred", Letterbox(0.64, 0, 53, (320, 213)), id="odd padding goes below"),
        pytest.param((1, 1), "top-left", Letterbox(320.0, 0, 0, (320, 320)), id="one pixel"),
        pytest.param((8000, 4), "top-left", Letterbox(0.04, 0, 0, (320, 1)), id="never thinner than a pixel"),
    ],
)
def test_image_fits_net(image_wh: tuple[int, int], placement: str, fit: Letterbox) -> None:
    assert Letterbox.fit(image_wh, (320, 320), placement) == fit


def test_box_maps_back_to_image_pixels() -> None:
    fit = Letterbox(0.5, 10, 20, (100, 100))
    net = np.array([[10, 20, 60, 120]], np.float32)
    assert fit.to_image(net).tolist() == [[0, 0, 100, 200]]


def test_canvas_is_padded_outside_image() -> None:
    image = np.full((4, 8, 3), 200, np.uint8)
    canvas = letterbox(image, Letterbox(1.0, 0, 2, (8, 4)), (8, 8), 114)
    assert canvas[:, 0, 0].tolist() == [114, 114, 200, 200, 200, 200, 114, 114]


def test_resize_averages_pairs_and_keeps_edges() -> None:
    row = np.array([[[0], [10], [20], [30]]], np.uint8)
    assert resize(row, (2, 1))[0, :, 0].tolist() == [5, 25]
    assert resize(row[:, :2], (4, 1))[0, :, 0].tolist() == [0, 3, 8, 10]


def test_normalise_puts_red_first_for_rgb_nets() -> None:
    pixel = np.array([[[10, 20, 30]]], np.uint8)  # blue, green, red
    mean, std = np.array([1, 2, 3], np.float32), np.array([1, 2, 3], np.float32)
    assert normalise(pixel, "rgb", mean, std).ravel().tolist() == [29.0, 9.0, pytest.approx(7 / 3)]
    assert normalise(pixel, "bgr", mean, std).ravel().tolist() == [9.0, 9.0, 9.0]
