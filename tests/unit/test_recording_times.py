"""The times of a recording's pictures: its own, where they make sense."""

from __future__ import annotations

import pytest

from edged.capture.sources.recording_times import RecordingTimes


def times(stamps: list[int | None], max_gap_ns: int | None = None) -> list[int]:
    clock = RecordingTimes(10, max_gap_ns)
    return [clock.next_ns(stamp) for stamp in stamps]


@pytest.mark.parametrize(
    ("stamps", "want"),
    [
        pytest.param([], [], id="empty"),
        pytest.param([70, 75, 200], [0, 5, 130], id="its own, from the first"),
        pytest.param([-20, -10, 0], [0, 10, 20], id="negative"),
        pytest.param([None, None, None], [0, 10, 20], id="none at all"),
        pytest.param([0, 0, 0], [0, 10, 20], id="repeated"),
        pytest.param([None, 0, 40], [0, 10, 50], id="the first is missing"),
        pytest.param([0, None, 50], [0, 10, 50], id="one is missing"),
        pytest.param([0, 40, 20, 60], [0, 40, 50, 90], id="back and on"),
        pytest.param([500, 540, 0, 40], [0, 40, 50, 90], id="joined"),
    ],
)
def test_times_rise_from_zero(stamps: list[int | None], want: list[int]) -> None:
    assert times(stamps) == want


def test_gap_is_true_unless_it_is_too_long_for_the_format() -> None:
    assert times([0, 5000, 5040]) == [0, 5000, 5040]
    assert times([0, 5000, 5040], max_gap_ns=1000) == [0, 10, 50]


def test_end_is_one_step_after_the_last_picture() -> None:
    clock = RecordingTimes(10)
    assert clock.end_ns == 0
    clock.next_ns(3)
    clock.next_ns(33)
    assert clock.end_ns == 40
