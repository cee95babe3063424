"""Figures of health become problems, with a begin."""

from __future__ import annotations

from typing import Any

import pytest

from edged.device.problems import ProblemTracker, broker_problems

DEVICE = {
    "disk_used_percent": 50.0,
    "memory_available_mb": 4000,
    "memory_total_mb": 8000,
    "temperature_c": 50.0,
    "hardware_throttling": None,
    "throttle": None,
}


def body(*, synced: bool = True, cameras: dict[str, Any] | None = None, **device: Any) -> dict[str, Any]:
    return {"device": {**DEVICE, **device}, "clock": {"synced": synced}, "cameras": cameras or {}, "models": {}}


def found(tracker: ProblemTracker, figures: dict[str, Any], at_ns: int = 0) -> list[tuple[str, str, int]]:
    return [(problem.code, problem.source, since) for problem, since in tracker.update(figures, at_ns)]


def test_healthy_device_has_no_problem() -> None:
    assert found(ProblemTracker(), body()) == []


def test_unknown_figure_opens_no_problem() -> None:
    assert found(ProblemTracker(), body(disk_used_percent=None, temperature_c=None)) == []


def test_lasting_problem_keeps_its_begin() -> None:
    tracker = ProblemTracker()
    assert found(tracker, body(disk_used_percent=96), 5) == [("disk-nearly-full", "device", 5)]
    assert found(tracker, body(disk_used_percent=97), 9) == [("disk-nearly-full", "device", 5)]


def test_figure_between_its_limits_keeps_the_problem_as_it_was() -> None:
    tracker = ProblemTracker()
    assert found(tracker, body(temperature_c=88)) == []
    assert found(tracker, body(temperature_c=91))
    assert found(tracker, body(temperature_c=88))
    assert found(tracker, body(temperature_c=84)) == []
    assert found(tracker, body(temperature_c=88)) == []


def test_little_free_memory_is_a_problem() -> None:
    assert found(ProblemTracker(), body(memory_available_mb=300)) == [("memory-nearly-full", "device", 0)]


def test_throttling_and_over_current_are_two_problems() -> None:
    throttling = {"active": ["cpu-throttle-alert"], "over_current_events": 3, "over_current_total": 3}
    codes = [code for code, *_ in found(ProblemTracker(), body(hardware_throttling=throttling))]
    assert codes == ["hardware-throttled", "over-current"]


def test_rule_that_would_find_nobody_is_a_problem_of_its_camera() -> None:
    ((problem, _),) = ProblemTracker().update(body(), 0, blind={"hall": "2 frames in 10 s are too few"})
    assert (problem.code, problem.source, problem.detail) == (
        "person-down-blind",
        "hall",
        "2 frames in 10 s are too few",
    )


def test_lost_camera_is_a_problem_with_its_reason() -> None:
    cameras = {"a": {"state": "lost", "reason": "unplugged", "degraded_share": None, "recovery": ""}}
    ((problem, _),) = ProblemTracker().update(body(cameras=cameras), 0)
    assert (problem.code, problem.source, problem.detail) == ("camera-lost", "a", "unplugged")


def test_lost_camera_with_a_recovery_names_it() -> None:
    cameras = {"a": {"state": "lost", "reason": "frozen", "degraded_share": None, "recovery": "reset-argus, 2 times"}}
    ((problem, _),) = ProblemTracker().update(body(cameras=cameras), 0)
    assert "reset-argus, 2 times" in problem.detail


def test_reduced_rate_is_a_problem_with_its_reason() -> None:
    throttle = {"level": 1, "max_fps": 10.0, "reason": "91 °C in the hottest zone", "since_ts": 0}
    ((problem, _),) = ProblemTracker().update(body(throttle=throttle), 0)
    assert problem.code == "rate-reduced"
    assert "91 °C in the hottest zone" in problem.detail


def test_mostly_degraded_view_is_a_problem() -> None:
    cameras = {"a": {"state": "online", "reason": "", "degraded_share": 0.6}}
    ((problem, _),) = ProblemTracker().update(body(cameras=cameras), 0)
    assert problem.code == "view-degraded"


@pytest.mark.parametrize(
    ("rates", "failed", "is_problem"),
    [
        ((15.0, 0.0, 12.0), 30, True),
        ((15.0, 3.0, 12.0), 30, False),
        ((15.0, 0.0, 15.0), 1, False),
        ((15.0, 0.0, 12.0), 0, False),
    ],
    ids=["all", "some", "all dropped", "just begun"],
)
def test_camera_without_a_processed_frame_is_a_problem(
    rates: tuple[float, float, float], failed: int, is_problem: bool
) -> None:
    figures = dict(zip(("fps_in", "fps", "fps_dropped"), rates, strict=True))
    cameras = {"a": {"state": "online", "degraded_share": None, "frames": {"failed": failed}, **figures}}
    assert [code for code, *_ in found(ProblemTracker(), body(cameras=cameras))] == ["frames-failed"] * is_problem


WELL = {
    "reason": "",
    "short_connections": 1,
    "other_device": None,
    "retain_available": True,
    "max_qos": 1,
    "max_message_bytes": None,
    "refused_topics": {},
    "too_large": {},
    "unverified": False,
}


@pytest.mark.parametrize(
    ("changes", "code", "word"),
    [
        ({"reason": "refused"}, "broker-lost", "refused"),
        ({"other_device": "cameras: yard"}, "id-in-use", "cameras: yard"),
        ({"short_connections": 4}, "id-in-use", "device.id"),
        ({"retain_available": False}, "broker-no-retain", "subscribes later"),
        ({"max_qos": 0}, "broker-qos-0", "lost"),
        ({"refused_topics": {"a/alert": "Not authorized"}}, "topics-refused", "a/alert: Not authorized"),
        ({"refused_topics": {"a/alert": "Quota exceeded"}}, "topics-refused", "a/alert: Quota exceeded"),
        ({"too_large": {"a/health": 2300}, "max_message_bytes": 1744}, "message-too-large", "a/health (2300 bytes)"),
        ({"unverified": True}, "delivery-unverified", "on disk"),
    ],
)
def test_what_the_broker_does_not_deliver_is_a_problem(changes: dict[str, Any], code: str, word: str) -> None:
    assert list(broker_problems(WELL)) == []
    (problem,) = broker_problems(WELL | changes)
    assert (problem.code, problem.source) == (code, "broker")
    assert word in problem.detail
