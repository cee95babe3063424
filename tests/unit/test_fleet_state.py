"""The state of devices and cameras, from messages alone."""

from __future__ import annotations

import json

import pytest

from edged.mqtt.fleet_state import MAX_CAMERAS, MAX_DEVICES, FleetState
from edged.mqtt.packet_limit import DEVICE_PACKET_BYTES
from tests.support.clock import ManualClock

S = 1_000_000_000


@pytest.fixture
def fleet(clock: ManualClock) -> FleetState:
    return FleetState("site/edged", clock)


def poses(seq: int) -> bytes:
    return json.dumps({"seq": seq}).encode()


def test_device_and_camera_appear_with_their_first_message(fleet: FleetState) -> None:
    fleet.update("site/edged/box/status", b'{"state":"online"}')
    fleet.update("site/edged/box/cam/a/status", b'{"state":"lost"}')
    assert fleet.devices["box"].status["state"] == "online"
    assert fleet.devices["box"].cameras["a"].status["state"] == "lost"


@pytest.mark.parametrize("kind", ["status", "state", "daily", "alert"])
def test_latest_message_of_a_camera_is_kept(fleet: FleetState, kind: str) -> None:
    fleet.update(f"site/edged/box/cam/a/{kind}", b'{"ts": 1}')
    assert fleet.update(f"site/edged/box/cam/a/{kind}", b'{"ts": 2}') == {"ts": 2}
    assert getattr(fleet.devices["box"].cameras["a"], kind) == {"ts": 2}


@pytest.mark.parametrize(
    ("seqs", "lost"),
    [((0, 1, 2), 0), ((0, 3), 2), ((7,), 0), ((9, 0, 1), 0)],
    ids=["no-gap", "gap-of-two", "joined-late", "restarted"],
)
def test_gaps_in_seq_count_as_lost_messages(fleet: FleetState, seqs: tuple[int, ...], lost: int) -> None:
    for seq in seqs:
        fleet.update("site/edged/box/cam/a/poses", poses(seq))
    assert fleet.devices["box"].cameras["a"].lost == lost


def test_rate_is_that_of_recent_messages_and_drops_to_zero(fleet: FleetState, clock: ManualClock) -> None:
    for number in range(11):
        clock.now_ns = number * S // 10
        fleet.update("site/edged/box/cam/a/poses", poses(number))
    camera = fleet.devices["box"].cameras["a"]
    assert camera.rate_hz(clock.now_ns) == 10
    assert camera.rate_hz(clock.now_ns + 60 * S) == 0


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("other/box/status", b"{}"),
        ("site/edged/box/cam/a/snapshot", b"{}"),
        ("site/edged/box/status", b"\xff\xd8"),
        ("site/edged/box/status", b"[]"),
        ("site/edged/box", b"{}"),
    ],
    ids=["other-base", "other-topic", "jpeg", "list", "no-topic"],
)
def test_message_of_another_sender_is_ignored(fleet: FleetState, topic: str, payload: bytes) -> None:
    assert fleet.update(topic, payload) is None
    assert fleet.devices == {}


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("site/edged/box/cam/a/poses", b'{"subjects": 5}'),
        ("site/edged/box/cam/a/poses", b'{"subjects": [{"class": "horse"}]}'),
        ("site/edged/box/cam/a/status", b'{"state": 5}'),
        ("site/edged/box/health", b'{"process": []}'),
        ("site/edged/box/health", b'{"uptime_s": ' + b"[" * 100_000),
    ],
    ids=["subjects-no-list", "subject-incomplete", "state-a-number", "process-no-object", "nested-too-deep"],
)
def test_message_that_breaks_the_schema_is_ignored(fleet: FleetState, topic: str, payload: bytes) -> None:
    assert fleet.update(topic, payload) is None
    assert fleet.devices == {}


def test_invented_devices_and_cameras_take_limited_memory_and_do_not_displace_those_that_speak(
    fleet: FleetState,
) -> None:
    for number in range(MAX_DEVICES + MAX_CAMERAS):
        fleet.update("site/edged/box/cam/a/status", b'{"state":"online"}')
        fleet.update(f"site/edged/box/cam/{number}/status", b'{"state":"online"}')
        fleet.update(f"site/edged/{number}/status", b'{"state":"online"}')
    assert (len(fleet.devices), len(fleet.devices["box"].cameras)) == (MAX_DEVICES, MAX_CAMERAS)
    assert "a" in fleet.devices["box"].cameras


def test_message_that_is_larger_than_any_is_ignored(fleet: FleetState) -> None:
    assert fleet.update("site/edged/box/status", b'{"state":"online"}' + b" " * DEVICE_PACKET_BYTES) is None
