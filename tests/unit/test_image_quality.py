"""Brightness, contrast and sharpness, and the limits they break."""

import numpy as np
import pytest

from edged.config.tables.camera import QualityConfig
from edged.frame import QualityLimits
from edged.inference.image_quality import check_limits, image_quality
from edged.inference.params import quality_limits


def test_plain_image_has_zero_contrast_and_sharpness() -> None:
    assert image_quality(np.full((8, 8), 77, np.uint8)) == (77.0, 0.0, 0.0)


def test_chequerboard_has_largest_sharpness() -> None:
    board = (np.indices((8, 8)).sum(axis=0) % 2 * 200).astype(np.uint8)
    brightness, contrast, sharpness = image_quality(board)
    assert (brightness, contrast) == (100.0, 200.0)
    assert sharpness == pytest.approx(64)  # every Laplacian is ±800, every deviation ±100


def test_sharpness_is_independent_of_contrast() -> None:
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 60, (40, 40)).astype(np.uint8)
    assert image_quality(noise)[2] == pytest.approx(image_quality(noise * 4)[2])


@pytest.mark.parametrize(
    ("measures", "degraded"),
    [
        pytest.param((120, 150, 0.1), (), id="good"),
        pytest.param((3, 4, 0.5), ("dark", "flat"), id="night without light"),
        pytest.param((252, 2, 0.0), ("bright", "flat"), id="sun in the lens"),
        pytest.param((120, 80, 0.0001), ("blurred",), id="defocused"),
    ],
)
def test_broken_limits_are_named(measures: tuple[float, float, float], degraded: tuple[str, ...]) -> None:
    assert check_limits(*measures, quality_limits(QualityConfig())).degraded == degraded


def test_disabled_limits_still_measure() -> None:
    quality = check_limits(3, 4, 0.5, QualityLimits())
    assert (quality.degraded, quality.brightness) == ((), 3)
