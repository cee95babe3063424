"""The median of a camera's images: what moves disappears."""

from __future__ import annotations

import numpy as np
import pytest

from edged.capture.camera import CapturedImage
from edged.capture.median_image import MAX_IMAGES, median_image
from edged.capture.sources.scripted import ScriptedCamera, Step
from edged.errors import CameraLost
from edged.frame import U8
from edged.units import ns

FLOOR, HORSE = 200, 30


def at(time_s: float, *, covered: slice, recorded: bool = False, height: int = 100) -> CapturedImage:
    """A grey floor of which a horse covers some columns."""
    image: U8 = np.full((height, 8, 3), FLOOR, np.uint8)
    image[:, covered] = HORSE
    return CapturedImage(image=image, captured_ns=ns(time_s), recorded_ns=ns(10 * time_s) if recorded else None)


def median(*steps: Step, seconds: float = 20) -> U8:
    return median_image(ScriptedCamera(steps), name="stall", seconds=seconds, warm_up_frames=0)


def test_horse_that_walks_is_left_out() -> None:
    assert np.unique(median(*[at(i, covered=slice(i // 3, i // 3 + 1)) for i in range(21)])).tolist() == [FLOOR]


def test_horse_that_stays_for_most_of_the_time_is_kept() -> None:
    steps = [at(i, covered=slice(0, 1) if i < 11 else slice(0, 0)) for i in range(21)]
    assert median(*steps)[50, :2, 0].tolist() == [HORSE, FLOOR]


def test_images_are_spread_over_the_time_whatever_the_rate() -> None:
    """A horse that stands in the way for 8 of 20 s, at 100 frames/s: the first 21 frames all show it."""
    steps = [at(i / 100, covered=slice(0, 4) if i < 800 else slice(0, 0)) for i in range(2100)]
    assert np.unique(median(*steps)).tolist() == [FLOOR]


def test_recording_that_is_not_played_in_real_time_has_its_own_times() -> None:
    steps = [at(i / 100, covered=slice(0, 4) if i < 80 else slice(0, 0), recorded=True) for i in range(210)]
    assert np.unique(median(*steps)).tolist() == [FLOOR]


def test_source_that_ends_gives_the_median_of_what_there_was() -> None:
    assert median(at(0, covered=slice(0, 0)), seconds=60).shape == (100, 8, 3)


def test_image_of_another_size_is_left_out() -> None:
    steps = [at(i, covered=slice(0, 0), height=50 if i < 3 else 100) for i in range(MAX_IMAGES)]
    assert median(*steps).shape == (100, 8, 3)


def test_camera_that_is_lost_meanwhile_is_named() -> None:
    with pytest.raises(CameraLost):
        median(at(0, covered=slice(0, 0)), CameraLost("stall: no frame for 5 s", "silent"))
