"""Figures become problems, with a beginning."""

from __future__ import annotations

from typing import Any

import pytest

from edged.device.problems import ProblemTracker

DEVICE = {
    "disk_used_percent": 50.0,
    "memory_free_mb": 4000,
    "memory_total_mb": 8000,
    "temperature_c": 50.0,
    "hardware_throttling": None,
    "throttle": None,
}


def body(*, synced: bool = True, cameras: dict[str, Any] | None = None, **device: Any) -> dict[str, Any]:
    return {"device": {**DEVICE, **device}, "clock": {"synced": synced}, "cameras": cameras or {}, "models": {}}


def found(watchlist: ProblemTracker, figures: dict[str, Any], at_ns: int = 0) -> list[tuple[str, str, int]]:
    return [(problem.code, problem.source, since) for problem, since in watchlist.update(figures, at_ns)]


def test_a_healthy_box_has_none() -> None:
    assert found(ProblemTracker(), body()) == []


def test_a_figure_that_is_not_known_is_no_problem() -> None:
    assert found(ProblemTracker(), body(disk_used_percent=None, temperature_c=None)) == []


def test_a_problem_keeps_its_beginning_while_it_lasts() -> None:
    watchlist = ProblemTracker()
    assert found(watchlist, body(disk_used_percent=96), 5) == [("disk-nearly-full", "device", 5)]
    assert found(watchlist, body(disk_used_percent=97), 9) == [("disk-nearly-full", "device", 5)]


def test_a_figure_near_its_limit_does_not_flicker() -> None:
    watchlist = ProblemTracker()
    assert found(watchlist, body(temperature_c=88)) == []
    assert found(watchlist, body(temperature_c=91))
    assert found(watchlist, body(temperature_c=88))
    assert found(watchlist, body(temperature_c=84)) == []
    assert found(watchlist, body(temperature_c=88)) == []


def test_little_memory_is_a_problem() -> None:
    assert found(ProblemTracker(), body(memory_free_mb=300)) == [("memory-nearly-full", "device", 0)]


def test_throttling_and_over_current_are_two_problems() -> None:
    throttling = {"active": ["cpu-throttle-alert"], "over_current_events": 3}
    codes = [code for code, *_ in found(ProblemTracker(), body(hardware_throttling=throttling))]
    assert codes == ["hardware-throttled", "over-current"]


def test_a_lost_camera_is_named_with_its_reason() -> None:
    cameras = {"a": {"state": "lost", "reason": "unplugged", "degraded_share": None, "recovery": ""}}
    ((problem, _),) = ProblemTracker().update(body(cameras=cameras), 0)
    assert (problem.code, problem.source, problem.detail) == ("camera-lost", "a", "unplugged")


def test_what_was_asked_for_to_bring_a_camera_back_is_told() -> None:
    cameras = {"a": {"state": "lost", "reason": "frozen", "degraded_share": None, "recovery": "reset-argus, 2 times"}}
    ((problem, _),) = ProblemTracker().update(body(cameras=cameras), 0)
    assert problem.detail == "frozen; asked for reset-argus, 2 times"


def test_a_rate_that_has_given_way_is_told_with_its_reason() -> None:
    throttle = {"level": 1, "max_fps": 10.0, "reason": "91 °C in the hottest zone", "since_ts": 0}
    ((problem, _),) = ProblemTracker().update(body(throttle=throttle), 0)
    assert (problem.code, problem.detail) == (
        "rate-reduced",
        "10 frames per camera and second, for 91 °C in the hottest zone",
    )


def test_a_view_that_is_mostly_not_believed_is_a_problem() -> None:
    cameras = {"a": {"state": "online", "reason": "", "degraded_share": 0.6}}
    ((problem, _),) = ProblemTracker().update(body(cameras=cameras), 0)
    assert (problem.code, problem.detail) == ("view-degraded", "60% of the frames are not believed")


@pytest.mark.parametrize(
    ("rates", "failed", "told"),
    [
        ((15.0, 0.0, 12.0), 30, True),
        ((15.0, 3.0, 12.0), 30, False),
        ((15.0, 0.0, 15.0), 1, False),
        ((15.0, 0.0, 12.0), 0, False),
    ],
    ids=["all", "some", "no time for any", "just begun"],
)
def test_a_camera_all_of_whose_frames_are_given_up_is_told(
    rates: tuple[float, float, float], failed: int, told: bool
) -> None:
    figures = dict(zip(("fps_in", "fps", "fps_dropped"), rates, strict=True))
    cameras = {"a": {"state": "online", "degraded_share": None, "frames": {"failed": failed}, **figures}}
    assert [what for what, *_ in found(ProblemTracker(), body(cameras=cameras))] == ["frames-failed"] * told
