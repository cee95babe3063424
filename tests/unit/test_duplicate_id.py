"""Another device with our id is found by the `info` that it leaves."""

from __future__ import annotations

from edged.mqtt.duplicate_id import FORGET_S, REPEATED_AFTER, DuplicateIdDetector, describe

OURS, OTHERS = b'{"cameras":{"barn":{}}}', b'{"name":"Yard","cameras":{"y":{},"x":{}}}'


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def connected_twice(found: bytes, *, arrived: bool = True, clock: Clock | None = None) -> DuplicateIdDetector:
    detector = DuplicateIdDetector(clock or Clock())
    detector.connected()
    detector.sent_info(OURS, arrived=arrived)
    detector.connected()
    detector.found_info(found)
    return detector


def test_own_info_is_no_sign_of_another_device() -> None:
    assert connected_twice(OURS).other_device is None


def test_info_of_another_device_names_it() -> None:
    detector = connected_twice(OTHERS)
    assert detector.other_device == "'Yard', cameras: x, y"
    assert detector.repeated


def test_info_from_before_this_process_is_no_sign() -> None:
    assert connected_twice(OTHERS, arrived=False).other_device is None


def test_info_that_comes_after_the_first_is_not_looked_at() -> None:
    detector = connected_twice(OURS)
    detector.found_info(OTHERS)
    assert detector.other_device is None


def test_other_device_is_remembered_over_stable_connections_until_it_is_gone_for_long() -> None:
    clock = Clock()
    detector = connected_twice(OTHERS, clock=clock)
    detector.lasted()
    assert detector.other_device
    clock.now_s = FORGET_S
    assert detector.other_device is None
    assert not detector.repeated


def test_connections_that_end_soon_are_repeated_unless_a_message_ended_them() -> None:
    detector = DuplicateIdDetector()
    for _ in range(2 * REPEATED_AFTER):
        detector.connected()
        detector.not_short()
    assert not detector.repeated
    for _ in range(REPEATED_AFTER):
        detector.connected()
    assert detector.repeated


def test_connections_whose_end_the_broker_explains_are_made_seldom_and_are_no_sign_of_another_device() -> None:
    detector = DuplicateIdDetector()
    for _ in range(REPEATED_AFTER):
        detector.connected()
        detector.explained()
    assert detector.repeated
    assert detector.short_connections == 0
    detector.connected()
    assert detector.short_connections == 1


def test_foreign_info_is_described_as_a_program() -> None:
    assert describe(b"\xff") == describe(b"[1]") == "another program"
    assert describe(b'{"cameras":3}') == "cameras: none"
