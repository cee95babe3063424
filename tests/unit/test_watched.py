"""What can be told from messages alone."""

from __future__ import annotations

import json

import pytest

from edged.mqtt.fleet_state import FleetState
from tests.unit.conftest import Hand

S = 1_000_000_000


@pytest.fixture
def watched(hand: Hand) -> FleetState:
    return FleetState("site/edged", hand)


def pose(seq: int) -> bytes:
    return json.dumps({"seq": seq}).encode()


def test_boxes_and_cameras_appear_with_their_first_message(watched: FleetState) -> None:
    watched.update("site/edged/box/status", b'{"state":"online"}')
    watched.update("site/edged/box/cam/a/status", b'{"state":"lost"}')
    assert watched.devices["box"].status["state"] == "online"
    assert watched.devices["box"].cameras["a"].status["state"] == "lost"


@pytest.mark.parametrize(
    ("numbers", "lost"),
    [((0, 1, 2), 0), ((0, 3), 2), ((7,), 0), ((9, 0, 1), 0)],
    ids=["none", "two", "joined late", "restarted"],
)
def test_gaps_in_the_numbers_are_messages_lost(watched: FleetState, numbers: tuple[int, ...], lost: int) -> None:
    for number in numbers:
        watched.update("site/edged/box/cam/a/poses", pose(number))
    assert watched.devices["box"].cameras["a"].lost == lost


def test_the_rate_is_that_of_late_arrivals_and_fades_to_none(watched: FleetState, hand: Hand) -> None:
    for number in range(11):
        hand.now_ns = number * S // 10
        watched.update("site/edged/box/cam/a/poses", pose(number))
    camera = watched.devices["box"].cameras["a"]
    assert camera.rate_hz(hand.now_ns) == 10
    assert camera.rate_hz(hand.now_ns + 60 * S) == 0


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("other/box/status", b"{}"),
        ("site/edged/box/cam/a/snapshot", b"{}"),
        ("site/edged/box/status", b"\xff\xd8"),
        ("site/edged/box/status", b"[]"),
        ("site/edged/box", b"{}"),
    ],
    ids=["another base", "another kind", "a picture", "a list", "no kind"],
)
def test_what_is_not_ours_is_passed_over(watched: FleetState, topic: str, payload: bytes) -> None:
    assert watched.update(topic, payload) is None
    assert watched.devices == {}


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("site/edged/box/cam/a/poses", b'{"subjects": 5}'),
        ("site/edged/box/cam/a/poses", b'{"subjects": [{"class": "horse"}]}'),
        ("site/edged/box/cam/a/status", b'{"state": 5}'),
        ("site/edged/box/health", b'{"process": []}'),
        ("site/edged/box/health", b'{"uptime_s": ' + b"[" * 100_000),
    ],
    ids=["no list", "half a subject", "a number", "no table", "too deep"],
)
def test_what_does_not_keep_to_the_contract_is_passed_over(watched: FleetState, topic: str, payload: bytes) -> None:
    assert watched.update(topic, payload) is None
    assert watched.devices == {}
