"""The figures of a soak run and its faults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edged.config.load import read_layers, validate
from tools import startup
from tools.soak.__main__ import configuration_text
from tools.soak.figures import Sample, figures, slope_per_h

FRAMES = {"captured": 10, "processed": 6, "dropped": 3, "failed": 1, "waiting": 0}


def samples(mb_per_h: float = 0.0, files_after: int = 13) -> list[Sample]:
    """Half an hour, after a start that grows."""
    return [
        Sample(
            at_s=at,
            rss_mb=250 + (0 if at > 300 else at / 10 - 30) + mb_per_h * at / 3600,
            files=13 if at < 900 else files_after,
            threads=22,
            cpu_s=at / 3,
        )
        for at in range(0, 1800, 5)
    ]


def judged(frames: dict[str, int] | None = None, *, code: int = 0, stop_s: float = 1.0, **grown: Any) -> list[str]:
    body = {"cameras": {"one": {"frames": frames or FRAMES}}, "bus": {}}
    faults: list[str] = figures(samples(**grown), [body], exit_code=code, stop_s=stop_s)["faults"]
    return faults


def test_slope_is_per_hour_and_omits_the_start() -> None:
    assert slope_per_h([0, 1800, 3600], [1, 2, 3]) == pytest.approx((2, 0), abs=1e-9)
    found = figures(samples(0.7), [], exit_code=0, stop_s=0)
    assert (found["rss_mb_per_h"], found["rss_mb_per_h_later"]) == pytest.approx((0.7, 0.7), abs=0.01)


@pytest.mark.parametrize(
    ("how", "fault"),
    [
        pytest.param({"mb_per_h": 1.2}, "resident memory rises by 1.2 MB/h", id="memory"),
        pytest.param({"files_after": 14}, "files: 13 at first, 14 at last", id="descriptors"),
        pytest.param({"frames": {**FRAMES, "dropped": 2}}, "frame counts do not balance", id="frame-counts"),
        pytest.param({"frames": {**FRAMES, "waiting": 1, "dropped": 2}}, "frame counts do not balance", id="waiting"),
        pytest.param({"frames": {**FRAMES, "processed": 0, "dropped": 9}}, "no frame processed", id="idle"),
        pytest.param({"code": 1}, "exit code 1", id="exit"),
        pytest.param({"stop_s": 2.4}, "SIGTERM to exit took 2.4 s", id="slow end"),
    ],
)
def test_fault_of_a_soak_is_reported(how: dict[str, Any], fault: str) -> None:
    (found,) = judged(**how)
    assert fault in found


def test_soak_without_growth_has_no_faults() -> None:
    assert judged() == []


def test_configurations_of_measured_daemons_hold() -> None:
    here = Path(__file__).parents[2]
    texts = [
        configuration_text("/var/lib/x", 1883, "rtsp://camera/1", here / "tools/demo/stall.mp4", 4),
        startup.configuration_text("/var/lib/x", 1883, startup.state_key(here)),
    ]
    file = Path("edged.toml")
    for text in texts:
        assert validate(read_layers(file, env={}, replaced={file: text})).cameras
