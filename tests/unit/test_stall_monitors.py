"""All stalls of a device: their days survive restarts, and a stall at rest needs fewer frames."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from edged.behaviour.horse.stall_monitors import StallMonitors, load_days
from edged.frame import Frame
from edged.units import ns
from tests.support.stall import STALL, result, subject

NIGHT = datetime(2027, 1, 1, 2, 0).astimezone()
FRAME = Frame(camera="a", seq=0, captured_ns=0, image=np.zeros((2, 2, 3), np.uint8))
RESTING = STALL.model_copy(update={"idle_hz": 2.0})


def poll_on(monitors: StallMonitors, *dates: str) -> None:
    """One poll on each of these local dates."""
    for date in dates:
        night = datetime.fromisoformat(f"{date}T02:00").astimezone()
        monitors.poll("a", ns(night.timestamp()), night)


def monitors_of(folder: Path) -> StallMonitors:
    return StallMonitors({"a": STALL}, 0.3, folder)


def test_stall_that_is_reconfigured_keeps_its_days(tmp_path: Path) -> None:
    monitors = monitors_of(tmp_path)
    poll_on(monitors, "2027-01-01", "2027-01-02")
    monitors.reconfigure({"a": STALL.model_copy(update={"zones": {}})})
    assert [day.date for day in monitors.days("a")] == ["2027-01-01", "2027-01-02"]


def test_days_survive_a_restart(tmp_path: Path) -> None:
    monitors = monitors_of(tmp_path)
    poll_on(monitors, "2027-01-01", "2027-01-02")
    monitors.write(monitors.snapshot(), monitors.horses())
    assert [day.date for day in load_days(tmp_path)["a"]] == ["2027-01-01", "2027-01-02"]
    assert [day.date for day in monitors_of(tmp_path).days("a")] == ["2027-01-01", "2027-01-02"]


def test_horses_of_all_stalls_are_known_after_a_restart(tmp_path: Path) -> None:
    monitors = monitors_of(tmp_path)
    assert monitors.horses()["stalls"] == {}
    poll_on(monitors, "2027-01-01")
    monitors.sink(FRAME, result(subject("person")))
    monitors.poll("a", ns(1), NIGHT)
    monitors.write(monitors.snapshot(), horses := monitors.horses())
    again = StallMonitors({}, 0.3, tmp_path)  # switched off for now
    assert list(again.horses()["stalls"]) == ["a"]
    again.reconfigure({"a": STALL})
    again.write(monitors.snapshot(), again.horses())
    assert monitors_of(tmp_path).horses() == horses


def test_past_days_are_written_only_when_a_day_has_ended(tmp_path: Path) -> None:
    monitors = monitors_of(tmp_path)
    poll_on(monitors, "2027-01-01", "2027-01-02")
    monitors.write(monitors.snapshot(), monitors.horses())
    (tmp_path / "stalls.json").unlink()
    monitors.write(monitors.snapshot(), monitors.horses())
    assert not (tmp_path / "stalls.json").exists()
    poll_on(monitors, "2027-01-03")
    monitors.write(monitors.snapshot(), monitors.horses())
    assert [day.date for day in load_days(tmp_path)["a"]] == ["2027-01-01", "2027-01-02", "2027-01-03"]


@pytest.mark.parametrize("torn", ["", "{", "[]", '{"a": 3}', '{"a": [{"nonsense": 1}]}', '{"a": [{"postures": "S"}]}'])
def test_torn_state_file_is_logged_and_the_days_begin_again(
    torn: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "stalls.json").write_text(torn)
    assert monitors_of(tmp_path).days("a") == []
    assert str(tmp_path / "stalls.json") in caplog.text


def test_camera_without_a_stall_has_no_day(tmp_path: Path) -> None:
    monitors = monitors_of(tmp_path)
    poll_on(monitors, "2027-01-01")
    assert monitors.day("a", "2027-01-01") is not None
    assert monitors.day("b", "2027-01-01") is None


def idle_rates(folder: Path, requests: list[tuple[str, float | None]]) -> StallMonitors:
    stalls = {"a": RESTING, "b": STALL}
    return StallMonitors(stalls, 0.3, folder, set_idle_rate=lambda name, hz: requests.append((name, hz)))


def test_stall_at_rest_needs_fewer_frames_until_a_person_enters(tmp_path: Path) -> None:
    requests: list[tuple[str, float | None]] = []
    monitors = idle_rates(tmp_path, requests)
    for second in range(20):
        for name in ("a", "b"):
            monitors.poll(name, ns(1000 + second), NIGHT)
    assert requests == [("a", 2.0)]
    monitors.sink(FRAME, result(subject("person"), t_s=1020))
    monitors.poll("a", ns(1021), NIGHT)
    assert requests == [("a", 2.0), ("a", None)]


def test_stall_that_is_monitored_no_longer_gets_all_frames_again(tmp_path: Path) -> None:
    requests: list[tuple[str, float | None]] = []
    monitors = idle_rates(tmp_path, requests)
    monitors.poll("a", ns(1000), NIGHT)
    monitors.reconfigure({})
    assert requests == [("a", 2.0), ("a", None)]
