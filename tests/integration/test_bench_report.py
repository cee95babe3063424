"""The benchmark: the guard over its ratios, its lines, parts kept after a killed run, and its report."""

from __future__ import annotations

import itertools
import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tools.bench import batches, interleaved
from tools.bench.configurations import CONFIGURATIONS, unavailable_reason
from tools.bench.frames import FRAMES, SIZE_WH, BenchFrame, scenes
from tools.bench.interleaved import fit_line, round_robin
from tools.bench.libraries import stage_breakdown
from tools.bench.report import page, regressions, time_rows
from tools.bench.scaling import run_cameras
from tools.resume import SavedParts

ROOT = Path(__file__).parents[2]


def run(speedup: float, loop: float, people: int = 1) -> dict[str, Any]:
    return {"peers": {str(people): {"speedup": {"rtmlib": speedup}, "loop_per_sessions": loop}}}


@pytest.mark.parametrize(
    ("now", "count"),
    [
        pytest.param(run(1.4, 1.1), 0, id="as before"),
        pytest.param(run(1.3, 1.18), 0, id="within what runs differ by"),
        pytest.param(run(1.2, 1.1), 1, id="slower than rtmlib than before"),
        pytest.param(run(1.4, 1.3), 1, id="more host time"),
        pytest.param(run(2.0, 1.0), 0, id="better"),
        pytest.param(run(0.5, 9.0, people=3), 0, id="nothing to compare with"),
    ],
)
def test_worse_ratio_is_reported(now: dict[str, Any], count: int) -> None:
    assert len(regressions(now, run(1.4, 1.1))) == count


def test_libraries_are_compared_each_at_its_fastest() -> None:
    p50 = {"edged": 10, "edged, OpenVINO": 8, "edged, OpenVINO in BF16": 5, "rtmlib": 20, "rtmlib, OpenVINO": 12}
    ms = {name: {"p50": float(one), "p95": 0.0, "p99": 0.0, "frames_per_s": 0.0} for name, one in p50.items()}
    others = [name for name in p50 if name != "edged"]
    row = {"ms": ms, "speedup": dict.fromkeys(others, 1.0), "longest": {name: [] for name in others}}
    wanted = "| edged in FP32 / rtmlib, each on its faster library | 1.50 |"
    assert wanted in list(time_rows({"1": row}))
    for name in ("edged, OpenVINO", "rtmlib, OpenVINO"):
        del ms[name]
    assert wanted not in list(time_rows({"1": row}))


def test_slope_is_the_cost_of_one_more_subject() -> None:
    assert fit_line({"1": 7.0, "2": 10.0, "4": 16.0}) == pytest.approx({"slope": 3.0, "at_0": 4.0, "r2": 1.0})


def test_r2_of_a_nonlinear_series_is_low() -> None:
    assert fit_line({"0": 0.0, "1": 2.0, "2": 0.0})["r2"] == pytest.approx(0)


def test_turns_alternate_their_order_after_a_warm_up_round() -> None:
    order: list[str] = []

    def block(name: str, turn: int) -> list[float]:
        order.append(name)
        return [float(turn)]

    times = round_robin({name: partial(block, name) for name in "ab"}, 2)
    assert "".join(order) == "ab" + "ab" + "ba"
    assert {name: len(each) for name, each in times.items()} == {"a": 2, "b": 2}


def test_frame_time_is_split_into_models_and_host() -> None:
    stages = [{"detect": 6_000_000, "pose": 4_000_000, "crop": 1_000_000}] * 2
    made = stage_breakdown(stages, np.array([12.0, 12.0]))
    assert (made["loop_per_sessions"], made["host_ms"]) == (pytest.approx(1.2), pytest.approx(2.0))
    assert made["stage_ms"] == pytest.approx({"detect": 6, "pose": 4, "crop": 1, "tracks and rest": 1})


def test_killed_run_resumes_and_other_settings_start_again(tmp_path: Path) -> None:
    path = tmp_path / "unfinished.json"
    SavedParts(path, {"turns": 2}).part("one", lambda: 1)
    assert SavedParts(path, {"turns": 2}).part("one", lambda: 2) == 1
    assert SavedParts(path, {"turns": 3}).part("one", lambda: 2) == 2


def test_scene_changes_per_frame_and_has_the_wanted_people() -> None:
    images = [np.random.default_rng(i).integers(0, 256, (90, 60, 3)).astype(np.uint8) for i in range(3)]
    asked: list[BenchFrame] = []

    def found(shown: BenchFrame) -> int:
        asked.append(shown)
        return 0 if asked[0].scene == shown.scene else 1

    (scene,) = scenes(images, 1, 1, found)
    assert scene[0].scene != asked[0].scene
    assert (len(scene), scene[0].bgr.shape) == (FRAMES, (SIZE_WH[1], SIZE_WH[0], 3))
    assert all((a.bgr != b.bgr).any() for a, b in itertools.pairwise(scene))
    assert (scene[0].rgb[..., ::-1] == scene[0].bgr).all()


def test_gpu_configurations_are_unavailable_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.bench.configurations.GPU", ())
    monkeypatch.setattr("tools.bench.configurations.find_spec", lambda name: None)
    reasons = {c.name: unavailable_reason(c) for c in CONFIGURATIONS}
    assert all(bool(why) == ("ONNX Runtime, CPU" not in name) for name, why in reasons.items())


def test_frame_counts_of_all_cameras_are_balanced() -> None:
    detector = ROOT / "../shared/models/upstream/rtmdet_nano.onnx"
    if not detector.exists():
        pytest.skip(f"{detector} is not there")
    row = run_cameras(detector, [np.zeros((48, 64, 3), np.uint8)], count=2, seconds=1.0)
    counts = row["frame_counts"]
    assert row["balanced"]
    assert counts["captured"] == counts["processed"] + counts["dropped"] + counts["failed"] == 12


@pytest.fixture(scope="module")
def figures() -> Any:
    path = ROOT / "tools/reports/bench/bench.json"
    if not path.exists():
        pytest.skip(f"no {path.name} yet: python -m tools.bench, on a quiet machine")
    return json.loads(path.read_text())


def test_report_equals_its_figures(figures: Any) -> None:
    assert (ROOT / "tools/reports/bench/README.md").read_text() == "\n".join(page(figures)) + "\n"


def test_batch_sizes_alternate_and_times_are_per_image(figures: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interleaved, "PAUSE_S", 0.0)
    monkeypatch.setattr(batches, "IMAGES", 4)
    measured = batches.measure(1)
    assert [list(by_batch) for by_batch in measured.values()] == [["1", "2", "4"]] * 7
    assert all(0 < by_batch["4"] < 3 * by_batch["1"] for by_batch in measured.values()), "of one image, not of four"
    batch_ms = {"detect": {"1": 12.0, "2": 12.5, "4": 13.0}}
    assert "\n| detect | 12.00 | 12.50 | 13.00 |\n" in "\n".join(page({**figures, "batches": batch_ms}))
