"""What is asked of root about cameras that stay away, and how often."""

from __future__ import annotations

import pytest

from edged.box.rescue import FIRST_S, MOST_S, Rescue
from edged.config import Camera
from edged.units import ns
from tests.pure.conftest import Hand


def camera(source: str) -> Camera:
    return Camera.model_validate({"source": source})


CSI, OTHER_CSI, USB, UNPLUGGED, RTSP = map(camera, ("csi:0", "csi:1", "/dev/video0", "/dev/video9", "rtsp://x/1"))


@pytest.fixture
def rescue(hand: Hand) -> Rescue:
    return Rescue({"/dev/video0": "1-2.3"}.get, hand)


@pytest.mark.parametrize(
    ("away", "well", "asked"),
    [
        pytest.param({"a": CSI}, {}, ["reset-argus"], id="csi"),
        pytest.param({"a": CSI, "b": OTHER_CSI}, {}, ["reset-argus"], id="once for all of csi"),
        pytest.param({"a": CSI}, {"b": OTHER_CSI}, [], id="argus serves another camera"),
        pytest.param({"a": USB}, {"b": CSI}, ["reset-usb-1-2.3"], id="usb"),
        pytest.param({"a": UNPLUGGED}, {}, [], id="nothing to reset"),
        pytest.param({"a": RTSP}, {}, [], id="nothing of ours"),
        pytest.param({}, {"a": CSI, "b": USB}, [], id="all is well"),
    ],
)
def test_after_a_while_asked_is(
    rescue: Rescue, hand: Hand, away: dict[str, Camera], well: dict[str, Camera], asked: list[str]
) -> None:
    assert rescue.due(away, well) == []
    hand.now_ns += ns(FIRST_S) - 1
    assert rescue.due(away, well) == []
    hand.now_ns += 1
    assert rescue.due(away, well) == asked
    assert rescue.due(away, well) == []


def test_the_waits_double_up_to_an_hour(rescue: Rescue, hand: Hand) -> None:
    asked_s = []
    for second in range(0, 20_000, 10):
        hand.now_ns = ns(second)
        if rescue.due({"a": CSI}, {}):
            asked_s.append(second)
    assert asked_s[:4] == [60, 180, 420, 900]
    assert asked_s[-1] - asked_s[-2] == MOST_S


def test_a_camera_that_was_back_is_given_its_time_again(rescue: Rescue, hand: Hand) -> None:
    rescue.due({"a": CSI}, {})
    hand.now_ns += ns(FIRST_S)
    rescue.due({}, {"a": CSI})
    assert rescue.due({"a": CSI}, {}) == []
