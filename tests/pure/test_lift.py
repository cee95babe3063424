"""The geometry of 3D poses, against RootNet's published results on COCO images."""

import numpy as np
import pytest

from edged.decode.heatmap3d import expected
from edged.lift.space import Lens, Square, to_camera

GOLDEN = [  # side of the processed box, root depth mm, gamma
    (432.10, 7492.7, 1.0792),
    (217.14, 10543.5, 0.7631),
    (191.51, 11670.0, 0.7450),
    (374.72, 8654.8, 1.0811),
    (140.06, 16868.4, 0.7875),
    (262.34, 9423.1, 0.8240),
    (118.85, 16974.2, 0.6725),
    (300.713, 11250.57, 1.1277),
    (205.763, 15522.87, 1.0647),
    (277.950, 11831.38, 1.0962),
    (332.038, 8852.56, 0.9798),
    (273.862, 12572.60, 1.1477),
]
LENS = Lens.guessed((640, 392))


def test_a_published_box_is_processed_as_published() -> None:
    square = Square.around((139.41, 102.25, 222.39, 241.57), (640, 392))
    assert square is not None
    assert (square.x, square.y, square.side) == pytest.approx((99.749, 72.179, 300.713), abs=0.01)
    assert square.depth_mm(LENS) == pytest.approx(9976.31, abs=0.02)


@pytest.mark.parametrize(("side", "depth_mm", "gamma"), GOLDEN)
def test_k_of_a_published_box_gives_the_published_gamma(side: float, depth_mm: float, gamma: float) -> None:
    assert depth_mm / Square(0, 0, side).depth_mm(LENS) == pytest.approx(gamma, abs=1e-4)


def test_k_is_the_geometric_mean_of_both_focal_lengths() -> None:
    lens = Lens(focal_x_px=900, focal_y_px=1600, centre_x_px=0, centre_y_px=0)
    assert Square(0, 0, 100).depth_mm(lens) == pytest.approx(24000, rel=1e-6)


@pytest.mark.parametrize("xywh", [(700, 0, 50, 50), (0, 0, 0, 10), (5, 5, 1, 1)], ids=["outside", "flat", "a point"])
def test_where_nothing_is_left_of_a_box_there_is_no_square(xywh: tuple[float, float, float, float]) -> None:
    assert Square.around(xywh, (640, 392)) is None


def test_bins_become_pixels_of_the_square_and_millimetres_from_the_root() -> None:
    points = Square(10, 20, 64).joints(np.array([[16, 8, 24]], np.float32), (32, 32, 32))
    assert points.tolist() == [[42, 36, 500]]


def test_a_pixel_right_of_the_centre_lies_right_of_the_camera() -> None:
    lens = Lens(focal_x_px=1000, focal_y_px=500, centre_x_px=320, centre_y_px=240)
    assert to_camera(np.array([[420, 190, 2000]], np.float32), lens).tolist() == [[200, -200, 2000]]


def test_a_sure_cell_is_the_place() -> None:
    volume = np.zeros((1, 2 * 4, 5, 6), np.float32)
    volume[0, 4 + 3, 1, 2] = 100  # joint 1, depth 3, row 1, column 2
    np.testing.assert_allclose(expected(volume, 2)[0], np.array([[2.5, 2.0, 1.5], [2.0, 1.0, 3.0]]), rtol=1e-6)


def test_huge_activations_do_not_overflow() -> None:
    assert np.isfinite(expected(np.full((1, 8, 4, 4), 60000, np.float16), 2)).all()


def test_channels_that_are_no_multiple_of_the_joints_are_refused() -> None:
    with pytest.raises(ValueError, match="9 channels"):
        expected(np.zeros((1, 9, 2, 2), np.float32), 2)
