"""Every part of the GPU report runs; on the emulated GPU its figures mean nothing."""

from __future__ import annotations

import ctypes
import json
import time
from pathlib import Path
from typing import Any

import pytest

from edged.frame import Boxes, Frame
from edged.inference.cuda.backend import BEGIN, END
from edged.inference.cuda.context import Gpu
from tests.cuda.emulated import Emulated
from tests.cuda.makers import ABSENT, clip, course, makers
from tests.cuda.stand_in import StandIn
from tools.bench import configurations, interleaved
from tools.cuda import figures, parts, timeline
from tools.cuda.batching import BATCHES, CAMERAS, batching, camera_capacity, saved_share
from tools.cuda.command import write
from tools.cuda.figures import Effort
from tools.cuda.libraries import PUBLISHED
from tools.cuda.report import page
from tools.resume import SavedParts

QUICK = Effort(frames=1, warm_up=1, launches=2, long=3, copy_mb=1, rounds=2, turns=1, subjects=(1, 2))
STAGES = ["letterbox", "quality", "detect", "decode", "crop", "pose", "results"]
HERE = {
    "gpu": {"gpu": "a GPU", "sm": "8.7", "driver": "12.6"},
    "engines": "onnxruntime",
    "environment": {"cores": 2},
}
SAID = {"tests": {"tests": "12 passed"}, "sanitizer": {"memcheck": "0 errors"}}


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interleaved, "PAUSE_S", 0.0)


def test_report_holds_every_figure(emulated: Emulated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(configurations, "find_spec", lambda name: None)  # no PyTorch, wherever this runs
    left = emulated("alive")
    makes = parts.part_functions(makers(), makers(PUBLISHED), course(), QUICK, clip()[:2])
    found = parts.measured(lambda name, _: SAID[name] if name in SAID else makes[name](), QUICK, SavedParts(None, {}))
    assert emulated("alive") == left
    assert set(found["loops"]) == {"as it is", "without graphs", "frames copied", "subjects one by one"}
    for way in found["loops"].values():
        assert [way[str(n)]["subjects"] for n in (1, 2)] == [[1], [2]], "every frame had as many subjects as it says"
    assert [(way["graphs"], way["frames"]) for way in found["loops"].values()] == [
        (True, "mapped"), (False, "mapped"), (True, "copied"), (True, "mapped"),
    ]  # fmt: skip
    assert [list(found["stages"][n]) for n in ("1", "2")] == [STAGES] * 2
    assert found["bandwidth"]["copy"]["bytes"] == 2 * 1_000_000
    assert found["steady"]["frames"] == QUICK.long
    write(tmp_path, {**HERE, **found})
    text = (tmp_path / "README.md").read_text()
    assert "\n- tests: 12 passed\n- memcheck: 0 errors\n" in text
    assert "| as it is | yes | mapped |" in text
    assert "\n- batching 8 cameras saves " in text
    assert all(f"\n| {stage} | " in text for stage in (*STAGES, "host"))
    assert "\n| edged: frames/s |" in text
    assert "\n- PyTorch: not measured: " in text
    assert f"\n- all: not measured: {ABSENT} does not exist; set --detector" in text
    assert (tmp_path / "stages.webp").stat().st_size > 1000
    assert json.loads((tmp_path / "cuda.json").read_text())["stages"] == found["stages"]
    found["loops"]["as it is"]["graphs"] = False
    assert "the gain of graphs is not measured" in "\n".join(page({**HERE, **found}))


def test_lap_is_called_once_per_enqueued_stage(emulated: Emulated) -> None:
    heard: list[tuple[str, int, list[str]]] = []  # of each stage: kernels and engines since the one before
    engines: list[str] = []
    launched = 0

    class Heard(StandIn):
        def enqueue(self, batch: int) -> None:
            engines.append(self.card.task)
            super().enqueue(batch)

    def lap(stage: str) -> None:
        nonlocal launched
        heard.append((stage, emulated("launches") - launched, engines.copy()))
        launched = emulated("launches")
        engines.clear()

    backend = makers(kind=Heard).backend(graphs=False)
    backend.lap = lap
    for seq in range(2):
        heard.clear()
        frame = Frame(camera="a", seq=seq, captured_ns=0, image=clip()[5])
        backend.infer(frame, figures.person_params(backend, 1), Boxes.empty(), detect=True)
    backend.close()
    assert heard[1:] == [
        ("letterbox", 2, []),  # what is asked for is copied to the GPU before
        ("quality", 1, []),
        ("detect", 0, ["detect"]),
        ("decode", 4, []),  # heads, rank, NMS, choice
        ("crop", 1, []),
        ("pose", 0, ["pose"]),
        ("decode", 1, []),
        ("results", 1, []),
    ]
    assert heard[0][0] == BEGIN


def test_stage_time_is_gpu_time_only(gpu: Gpu) -> None:
    line = timeline.Timeline(gpu)
    naps = [timeline.HostFunction(lambda _, s=s: time.sleep(s)) for s in (0.2, 0.1)]

    def work(nap: Any) -> None:
        gpu.driver_call("cuLaunchHostFunc", ctypes.c_void_p(gpu.stream.handle), nap, None)

    for _ in range(2):  # goes
        line.lap(BEGIN)
        work(naps[0])
        line.lap("detect")
        time.sleep(0.5)
        work(naps[1])
        line.lap("pose")
        line.lap(END)
        gpu.wait()
        time.sleep(0.3)
    spent = line.pop_times()
    assert list(spent) == ["detect", "pose", END]
    assert 400 <= spent["detect"] < 900
    assert 200 <= spent["pose"] < 700
    assert spent[END] < 300
    assert line.held
    assert line.pop_times() == {}


class Waits(StandIn):
    def enqueue(self, batch: int) -> None:
        super().enqueue(batch)
        self._gpu.wait()


def test_stages_of_waiting_engine_are_not_measured(emulated: Emulated, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline, "MAX_HOLD_S", 0.05)
    found = timeline.stages(makers(kind=Waits), clip()[:1], Effort(frames=1, warm_up=0, subjects=(1,)))
    assert list(found) == ["why_not"]


def test_batching_figures_are_of_whole_batches(emulated: Emulated) -> None:
    took_s = {"detect": 0.04, "pose": 0.02}  # of a run, whatever its batch
    engines: list[StandIn] = []

    class Sleeps(StandIn):
        def __init__(self, *given: Any, **how: Any) -> None:
            super().__init__(*given, **how)
            engines.append(self)

        def _run(self, batch: int) -> None:
            self.ran.append(batch)
            time.sleep(took_s[self.card.task])

    left = emulated("alive")
    found = batching(makers(kind=Sleeps), Effort(warm_up=1, rounds=2))
    assert emulated("alive") == left
    assert [set(engine.ran) for engine in engines] == [set(BATCHES)] * 2
    assert all(40 <= found["gpu_ms"]["detector"][str(n)] < 80 for n in BATCHES)
    assert all(20 <= found["gpu_ms"]["person"][str(n)] < 60 for n in BATCHES)
    for n in CAMERAS:
        assert 60 <= found["clock_ms"][str(n)]["one batch"] < 60 * n <= found["clock_ms"][str(n)]["one by one"]


def test_saved_share_is_of_whole_frame() -> None:
    gpu_ms = {"detector": {"1": 3.0, "4": 6.0}, "person": {"1": 1.0, "4": 2.0}}
    assert saved_share(gpu_ms, 4, rest_ms=1.0) == pytest.approx((4.0 - 2.0) / 5.0)
    clock_ms = {"4": {"one by one": 18.0, "one batch": 10.0}}
    assert camera_capacity(clock_ms, 4, frame_ms=5.0, rate_hz=30) == (6, 11)  # 5 ms a frame, 3 ms in batches
    assert camera_capacity(clock_ms, 4, frame_ms=1.0, rate_hz=30) == (33, 133), "a batch is no cheaper than a frame"


def test_batches_of_waiting_engine_are_not_measured(emulated: Emulated, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline, "MAX_HOLD_S", 0.05)
    assert list(batching(makers(kind=Waits), Effort(warm_up=1, rounds=1))) == ["why_not"]
