"""Live pictures: nothing is copied or encoded unless somebody looks."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("cv2", reason="needs OpenCV; install edged[cpu]")
pytest.importorskip("starlette", reason="needs starlette; install edged[panel]")

from edged.drawing.image_file import decode_jpeg
from edged.errors import CommandRejected
from edged.frame import U8, Frame, FrameResult
from edged.panel import live_view
from edged.panel.live_view import LOOK_NS, LiveView
from edged.panel.routes import Pages
from edged.units import NS_PER_S
from tests.support.stall import result, subject

GREY = np.full((100, 100, 3), 90, np.uint8)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    """The viewer's clock stands at 0."""
    monkeypatch.setattr(live_view, "monotonic_ns", lambda: 0)


def view(*, hides: bool = False, drawn: list[FrameResult] | None = None) -> LiveView:
    def draw(image: U8, result: FrameResult) -> U8:
        if drawn is not None:
            drawn.append(result)
        return image

    return LiveView(draw, lambda camera: hides, 5)


def show(live: LiveView, t_s: float, image: U8 = GREY, *people: tuple[int, int, int, int]) -> None:
    found = result(*(subject("person", box=box) for box in people), t_s=t_s)
    live.on_result(Frame(camera="a", seq=0, captured_ns=found.captured_ns, image=image), found)
    if live._waiting:
        live._step()


def test_without_a_viewer_nothing_is_drawn(now: None) -> None:
    drawn: list[FrameResult] = []
    live = view(drawn=drawn)
    show(live, 0.0)
    assert drawn == []
    assert live.picture("a") is None


def test_viewers_share_one_picture_after_the_other(now: None) -> None:
    drawn: list[FrameResult] = []
    live = view(drawn=drawn)
    live.look("a")
    for number in range(20):
        show(live, number * 0.1)
    picture = live.wait("a", 0, 0)
    assert picture is not None
    assert picture.number == len(drawn) == 11  # five a second, and the first
    assert picture.size_wh == (100, 100)
    assert live.wait("a", picture.number, 0) is None
    assert decode_jpeg(picture.jpeg).shape == (100, 100, 3)


def test_loop_copies_no_other_image_while_one_waits(now: None, monkeypatch: pytest.MonkeyPatch) -> None:
    live = view()
    live.look("a")
    monkeypatch.setattr(live, "_step", lambda: 0.0)
    show(live, 0.0)
    (waiting,) = live._waiting.values()
    show(live, 1.0)
    assert live._waiting == {"a": waiting}
    live._waiting.clear()
    show(live, 1.1)
    assert live._waiting["a"].result.captured_ns == 1.1 * NS_PER_S


def test_viewer_who_has_gone_costs_nothing_any_more(now: None) -> None:
    live = view()
    live.look("a")
    show(live, 1.0)
    assert live.picture("a") is not None
    show(live, LOOK_NS / NS_PER_S + 0.1)
    assert live.picture("a") is None
    assert live._viewed == {}


def test_people_of_a_private_stall_are_pixelated_and_not_drawn(now: None) -> None:
    drawn: list[FrameResult] = []
    live = view(hides=True, drawn=drawn)
    live.look("a")
    image = np.random.default_rng(1).integers(0, 255, (100, 100, 3), np.uint8)
    show(live, 0.0, image, (20, 20, 80, 80))
    picture = live.picture("a")
    assert picture is not None
    assert drawn[0].subjects == picture.result.subjects == ()
    assert decode_jpeg(picture.jpeg)[30:70, 30:70].std() < 0.6 * image[30:70, 30:70].std()


def side(live: LiveView, *, images: bool = True) -> Any:
    """What the page's second picture of the camera is."""
    cameras = {"a": SimpleNamespace(images=images)}
    config = SimpleNamespace(cameras=cameras, enabled_cameras=cameras, device=SimpleNamespace(state_dir=Path()))
    daemon: Any = SimpleNamespace(config=config, parts=SimpleNamespace(options=SimpleNamespace(etc=None)))
    aiming: Any = SimpleNamespace(holds=lambda camera: False)
    return Pages(daemon, live, aiming).side({"camera": "a"}, {})


def test_side_view_is_of_the_last_picture_and_of_cameras_that_may_be_seen(now: None) -> None:
    live = view()
    live.look("a")
    assert side(live).status_code == 204
    show(live, 0.0)
    assert decode_jpeg(side(live).body).shape == (360, 480, 3)
    with pytest.raises(CommandRejected, match="images = false"):
        side(live, images=False)
    assert live.picture("a") is None


def test_forgotten_camera_shows_nothing(now: None) -> None:
    live = view()
    live.look("a")
    show(live, 0.0)
    live.forget("a")
    assert live.picture("a") is None
