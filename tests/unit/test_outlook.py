"""A camera that was turned, and a lens with a web on it, told from light that changes and horses that stand about."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edged.behaviour.alerts import Alert, AlertMonitors
from edged.behaviour.presence import CameraObservation
from edged.behaviour.view import MIN_THUMBNAILS, SAMPLE_PERIOD_S, compare_views, thumbnail
from edged.behaviour.view_monitor import ViewMonitors
from edged.config.tables.stall import StallConfig
from edged.frame import U8, Frame, FrameResult, ImageQuality
from edged.units import ns
from tests.unit.test_barn_stall import STALL, subject

SIZE_WH = (640, 360)
CLEAR = ImageQuality(brightness=100, contrast=100, sharpness=1)


def wall() -> U8:
    """Boards and stones: blocks of 20 px in greys that do not repeat."""
    blocks = np.random.default_rng(5).integers(40, 216, (20, 34))
    plain = np.kron(blocks, np.ones((20, 20)))
    return np.repeat(plain[:, :, None], 3, axis=2).astype(np.uint8)


def seen(change: Callable[[U8], U8] = lambda image: image, right: int = 0, down: int = 0) -> U8:
    """What a camera sees of the wall that looks so far to the right and down."""
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
    ("now", "said"),
    [
        (seen(), None),
        (seen(lambda image: image // 3), None),
        (seen(lambda image: (255 * (image / 255) ** 0.5).astype(np.uint8)), None),
        (seen(right=4), None),
        (seen(right=24), "moved"),
        (seen(right=30, down=25), "moved"),
        (seen(web), "dirty"),
        (np.full((360, 640, 3), 90, np.uint8), None),
    ],
    ids=["the same", "dim", "other light", "a hair", "turned", "turned and tilted", "a web", "nothing at all"],
)
def test_what_has_happened_to_a_view(now: U8, said: str | None) -> None:
    assert compare_views(small(seen()), small(now)) == said


def test_an_image_in_luma_is_shrunk_alike() -> None:
    grey = seen()[..., 0]
    nv12 = Frame(camera="a", seq=0, captured_ns=0, image=np.vstack([grey, grey[:180] * 0]), pixel_format="nv12")
    yuyv = Frame(camera="a", seq=0, captured_ns=0, image=np.stack([grey, grey * 0], axis=2), pixel_format="yuyv")
    for one in (nv12, yuyv):
        assert np.allclose(thumbnail(one), small(seen()))


def shown(outlooks: ViewMonitors, image: U8, from_s: float, *, horse: bool = False) -> str | None:
    """A minute and more of this image; what is found then."""
    found = None
    for n in range(3 * MIN_THUMBNAILS):
        t_s = from_s + n * SAMPLE_PERIOD_S
        subjects = (subject("horse"),) if horse else ()
        result = FrameResult(
            camera="a",
            seq=n,
            captured_ns=ns(t_s),
            done_ns=ns(t_s),
            size_wh=SIZE_WH,
            subjects=subjects,
            quality=CLEAR,
            stage_ns={},
        )
        outlooks.sink(frame(image, t_s), result)
        found = outlooks.view_change("a", ns(t_s))
    return found


def test_a_turned_camera_is_found_and_after_a_restart_too(tmp_path: Path) -> None:
    assert shown(ViewMonitors({"a": STALL}, tmp_path), seen(), 100) is None
    again = ViewMonitors({"a": STALL}, tmp_path)
    assert shown(again, seen(), 1000) is None
    assert shown(again, seen(right=24), 2000) == "moved"


def test_a_stall_that_is_drawn_anew_has_a_new_view(tmp_path: Path) -> None:
    outlooks = ViewMonitors({"a": STALL}, tmp_path)
    shown(outlooks, seen(), 100)
    outlooks.reconfigure({"a": StallConfig(enabled=True, floor=((0, 90), (100, 100), (100, 50), (0, 50)))})
    assert shown(outlooks, seen(right=24), 1000) is None


def test_other_settings_of_a_stall_keep_its_view(tmp_path: Path) -> None:
    outlooks = ViewMonitors({"a": STALL}, tmp_path)
    shown(outlooks, seen(), 100)
    outlooks.reconfigure({"a": STALL.model_copy(update={"feeding_times": ("06:00",)})})
    assert shown(outlooks, seen(right=24), 1000) == "moved"


@pytest.mark.parametrize("torn", ["{", "[]", '{"a": 3}', '{"a": {"drawn": "x", "view": [[1]]}}'])
def test_torn_views_begin_again(torn: str, tmp_path: Path) -> None:
    (tmp_path / "views.json").write_text(torn)
    assert shown(ViewMonitors({"a": STALL}, tmp_path), seen(), 100) is None


@pytest.mark.parametrize("outlook", ["moved", "dirty"])
def test_somebody_is_told_of_a_view_that_stays_wrong(outlook: str) -> None:
    told: list[Alert] = []
    alerts = AlertMonitors(("a",), told.append)
    for second in range(700):
        alerts.update("a", CameraObservation(t_ns=ns(second), view="ok", view_change=outlook))
    assert [(one.rule.kind, one.stage) for one in told] == [(f"camera-{outlook}", "open")]
