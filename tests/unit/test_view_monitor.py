"""A camera that was turned and a dirty lens are found; other light and standing horses change nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edged.behaviour.alerts import Alert, AlertMonitors
from edged.behaviour.types import CameraObservation, ViewChange
from edged.behaviour.view_monitor import (
    MIN_THUMBNAILS,
    SAMPLE_PERIOD_S,
    ViewMonitor,
    ViewMonitors,
    compare_views,
    thumbnail,
)
from edged.config.tables.stall import StallConfig
from edged.frame import U8, Frame, FrameResult, ImageQuality
from edged.units import ns
from tests.support.stall import STALL, result, subject

SIZE_WH = (640, 360)
CLEAR = ImageQuality(brightness=100, contrast=100, sharpness=1)


def wall() -> U8:
    """Blocks of 20 px in greys that do not repeat."""
    blocks = np.random.default_rng(5).integers(40, 216, (20, 34))
    plain = np.kron(blocks, np.ones((20, 20)))
    return np.repeat(plain[:, :, None], 3, axis=2).astype(np.uint8)


def view(change: Callable[[U8], U8] = lambda image: image, right: int = 0, down: int = 0) -> U8:
    """The image of a camera turned so many px to the right and down."""
    width, height = SIZE_WH
    return change(wall()[down : down + height, right : right + width].copy())


def frame(image: U8, t_s: float = 0.0) -> Frame:
    return Frame(camera="a", seq=0, captured_ns=ns(t_s), image=image)


def small(image: U8) -> np.ndarray:
    return thumbnail(frame(image))


def web(image: U8) -> U8:
    """A quarter of the lens shows nothing but haze."""
    image[100:300, 200:520] = 150
    return image


@pytest.mark.parametrize(
    ("now", "change"),
    [
        (view(), None),
        (view(lambda image: image // 3), None),
        (view(lambda image: (255 * (image / 255) ** 0.5).astype(np.uint8)), None),
        (view(right=4), None),
        (view(right=24), "moved"),
        (view(right=30, down=25), "moved"),
        (view(web), "dirty"),
        (np.full((360, 640, 3), 90, np.uint8), None),
    ],
    ids=[
        "the same",
        "dim",
        "other light",
        "turned a little",
        "turned",
        "turned and tilted",
        "a web",
        "nothing",
    ],
)
def test_view_with_a_change_is_moved_dirty_or_the_same(now: U8, change: str | None) -> None:
    assert compare_views(small(view()), small(now)) == change


def test_thumbnail_of_an_image_in_luma_is_that_of_its_grey_levels() -> None:
    grey = view()[..., 0]
    nv12 = Frame(camera="a", seq=0, captured_ns=0, image=np.vstack([grey, grey[:180] * 0]), pixel_format="nv12")
    yuyv = Frame(camera="a", seq=0, captured_ns=0, image=np.stack([grey, grey * 0], axis=2), pixel_format="yuyv")
    for one in (nv12, yuyv):
        assert np.allclose(thumbnail(one), small(view()))


def after_a_minute(monitors: ViewMonitors, image: U8, from_s: float) -> str | None:
    """The change after more than a minute of this image."""
    change = None
    for n in range(3 * MIN_THUMBNAILS):
        t_s = from_s + n * SAMPLE_PERIOD_S
        result = FrameResult(
            camera="a",
            seq=n,
            captured_ns=ns(t_s),
            done_ns=ns(t_s),
            size_wh=SIZE_WH,
            subjects=(),
            quality=CLEAR,
            stage_ns={},
        )
        monitors.sink(frame(image, t_s), result)
        change = monitors.view_change("a", ns(t_s))
    return change


def test_turned_camera_is_found_after_a_restart_too(tmp_path: Path) -> None:
    assert after_a_minute(ViewMonitors({"a": STALL}, tmp_path), view(), 100) is None
    again = ViewMonitors({"a": STALL}, tmp_path)
    assert after_a_minute(again, view(), 1000) is None
    assert after_a_minute(again, view(right=24), 2000) == "moved"


def test_stall_that_is_drawn_anew_gets_a_new_reference(tmp_path: Path) -> None:
    monitors = ViewMonitors({"a": STALL}, tmp_path)
    after_a_minute(monitors, view(), 100)
    monitors.reconfigure({"a": StallConfig(enabled=True, floor=((0, 90), (100, 100), (100, 50), (0, 50)))})
    assert after_a_minute(monitors, view(right=24), 1000) is None


def test_other_settings_of_a_stall_keep_its_reference(tmp_path: Path) -> None:
    monitors = ViewMonitors({"a": STALL}, tmp_path)
    after_a_minute(monitors, view(), 100)
    monitors.reconfigure({"a": STALL.model_copy(update={"feeding_times": ("06:00",)})})
    assert after_a_minute(monitors, view(right=24), 1000) == "moved"


@pytest.mark.parametrize("torn", ["{", "[]", '{"a": 3}', '{"a": {"drawn": "x", "view": [[1]]}}'])
def test_torn_state_file_starts_with_a_new_reference(torn: str, tmp_path: Path) -> None:
    (tmp_path / "views.json").write_text(torn)
    assert after_a_minute(ViewMonitors({"a": STALL}, tmp_path), view(), 100) is None


@pytest.mark.parametrize("change", ["moved", "dirty"])
def test_view_that_stays_changed_opens_an_alert(change: ViewChange) -> None:
    published: list[Alert] = []
    alerts = AlertMonitors(("a",), published.append)
    for second in range(700):
        alerts.update("a", CameraObservation(t_ns=ns(second), view="ok", view_change=change))
    assert [(one.rule.kind, one.stage) for one in published] == [(f"camera-{change}", "open")]


def test_standing_horse_is_not_a_view_change() -> None:
    monitor = ViewMonitor(small(view()))
    horse = subject("horse", box=(200, 100, 520, 300))
    for n in range(MIN_THUMBNAILS):
        monitor.add_frame(n * SAMPLE_PERIOD_S, frame(web(view())), replace(result(horse), size_wh=SIZE_WH))
    assert monitor.check() is None
    middle = monitor.median_view()
    assert middle is not None
    assert np.isnan(middle[20, 30])
