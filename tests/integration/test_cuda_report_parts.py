"""The GPU report skips parts that fail, hang or lack something, names them, and the next run continues there."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from engines.card import Card
from engines.catalogue import load
from engines.errors import NoTensorRT
from tools.bench.unavailable import Unavailable
from tools.cuda import isolated, parts, requirements, tensorrt
from tools.cuda.figures import Effort
from tools.cuda.isolated import NotMeasured, run
from tools.cuda.report import bars, page
from tools.resume import SavedParts

HERE = {"gpu": {"gpu": "a GPU", "sm": "8.7", "driver": "12.6"}, "engines": "torch", "environment": {"cores": 2}}


def test_failed_part_is_retried_and_the_others_are_measured(tmp_path: Path) -> None:
    tried: list[str] = []

    def measure(name: str, limit_s: float) -> Any:
        tried.append(name)
        if name == "loops":
            raise NotMeasured("the GPU fell off the bus")
        return {"why_not": "a figure of this test"}

    found = parts.measured(measure, Effort(), SavedParts(tmp_path / "unfinished.json", {}))
    assert tried == list(parts.LIMITS_S)
    assert found["loops"] == {"why_not": "the GPU fell off the bus"}
    parts.measured(measure, Effort(), SavedParts(tmp_path / "unfinished.json", {}))
    assert tried[len(parts.LIMITS_S) :] == ["loops"]
    text = "\n".join(page({**HERE, **found}))
    assert "not measured: the GPU fell off the bus" in text
    assert text.count("a figure of this test") == len(parts.LIMITS_S) - 1
    assert bars(found) == {}


class Builder:
    """Builds once, and keeps it."""

    def __init__(self) -> None:
        self.built: list[str] = []
        self.plans = SimpleNamespace(find=lambda name, key: "plan" if name in self.built else None)

    def job(self, card: Card, file: Path, **_: Any) -> Any:
        return SimpleNamespace(card=card, key="key")

    def build(self, job: Any, *_: Any) -> str:
        self.built.append(job.card.name)
        return "plan"


def test_engines_are_those_of_tensorrt_where_there_is_nothing_else_and_are_built_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    builder, card = Builder(), load()["det-person-horse"]
    monkeypatch.setattr(tensorrt, "engine_builder", lambda *_: builder)
    monkeypatch.setattr(tensorrt, "BuiltEngine", lambda job, plan: SimpleNamespace(engine=lambda gpu: (plan, gpu)))
    gpu: Any = "a GPU"
    for batches in (None, card.batches):
        opened: Any = parts.engine("tensorrt", card.name, Path("absent"), gpu, batches)
        assert opened == ("plan", gpu)
    assert builder.built == [card.name]
    with pytest.raises(Unavailable, match="built for batches of"):
        parts.engine("tensorrt", card.name, Path("absent"), gpu, (1, 2))


def test_no_tensorrt_is_a_reason_and_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: Any) -> Any:
        raise NoTensorRT("TensorRT is not installed")

    monkeypatch.setattr(tensorrt, "engine_builder", absent)
    gpu: Any = "a GPU"
    with pytest.raises(Unavailable, match="TensorRT is not installed"):
        parts.engine("tensorrt", "det-person-horse", Path("absent"), gpu)


def test_part_limit_is_capped_by_deadline() -> None:
    given: dict[str, float] = {}

    def measure(name: str, limit_s: float) -> Any:
        given[name] = limit_s
        return {}

    parts.measured(measure, Effort(), SavedParts(None, {}), time.monotonic() + 100)
    assert all(limit_s <= min(100, parts.LIMITS_S[name]) for name, limit_s in given.items())
    assert given["engines_ms"] == parts.LIMITS_S["engines_ms"]
    late = parts.measured(measure, Effort(), SavedParts(None, {}), time.monotonic() + 1)
    assert {late[name]["why_not"] for name in parts.LIMITS_S} == {parts.NO_TIME}


def test_part_failed_earlier_comes_last() -> None:
    tried: list[str] = []
    earlier = {"loops": {"why_not": "not done within 200 s"}, "batching": {"why_not": parts.NO_TIME}, "tests": {}}
    parts.measured(lambda name, _: tried.append(name), Effort(), SavedParts(None, {}), earlier=earlier)
    assert tried == [*(name for name in parts.LIMITS_S if name != "loops"), "loops"]


@pytest.mark.parametrize(
    ("batched_ms", "line"),
    [
        pytest.param(10.0, "Batching pays here for more than 6 cameras on the GPU, up to 11;", id="it pays"),
        pytest.param(20.0, "Batching does not pay here:", id="it does not"),
    ],
)
def test_page_states_the_gain_of_batching(batched_ms: float, line: str) -> None:
    found: dict[str, Any] = {name: {"why_not": "a figure of this test"} for name in parts.LIMITS_S}
    found["batching"] = {
        "gpu_ms": {"detector": {"1": 3.0, "4": 6.0}, "person": {"1": 1.0, "4": 2.0}},
        "clock_ms": {"4": {"one by one": 18.0, "one batch": batched_ms}},
    }
    row = {"p50": 5.0, "host_ms": 1.0}
    found["loops"] = {"as it is": {"1": row, "graphs": True, "frames": "mapped", "ms_per_subject": 1.0}}
    text = "\n".join(page({**HERE, **found, "effort": {"subjects": [1]}, "others_cores": 0.0}))
    assert "\n- batching 4 cameras saves 50 % of the GPU time per frame; " in text
    assert f"\n{line}" in text


def test_command_output_is_kept_to_its_end(tmp_path: Path) -> None:
    code = "import sys; print('one'); print('two', file=sys.stderr); sys.exit(3)"
    assert run([sys.executable, "-c", code], tmp_path / "new/output.log", 20) == (3, "two")
    assert (tmp_path / "new/output.log").read_text() == "one\ntwo\n"


def test_hanging_command_is_killed_with_its_children(tmp_path: Path) -> None:
    code = "import subprocess, time; print(subprocess.Popen(['sleep', '60']).pid, flush=True); time.sleep(60)"
    with pytest.raises(NotMeasured, match="not finished within 2 s"):
        run([sys.executable, "-c", code], tmp_path / "hang.log", 2)
    pid = int((tmp_path / "hang.log").read_text().split()[0])
    assert _ends(pid)


def test_output_of_failed_part_is_reported_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(NotMeasured, match=r"nothing \(exit 1\)"):
        isolated.PartProcess(tmp_path, [])("loops", 20)
    assert (tmp_path / "loops.log").exists()


def test_missing_packages_are_listed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = {module for module in (*requirements.PACKAGES, "pycuda") if module.startswith("p")}
    monkeypatch.setattr(requirements, "find_spec", lambda module: None if module in absent else module)
    packages, pycuda = requirements.missing_packages()
    assert packages == "not installed: psutil, pydantic, pytest; pip install psutil pydantic pytest"
    assert "pycuda" in pycuda


def test_optional_prerequisites_are_listed_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements, "find_spec", lambda module: None)
    missing = list(requirements.skipped_comparisons(tmp_path / "none.onnx", tmp_path))
    assert [word.split()[0] for word in missing] == ["rtmlib:", "torch:", "tensorrt:", "the", "all"]


def _ends(pid: int, within_s: float = 10.0) -> bool:
    """Whether the process is gone, or a zombie whose parent is gone too."""
    end_s = time.monotonic() + within_s
    while time.monotonic() < end_s:
        with suppress(psutil.NoSuchProcess):
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                time.sleep(0.05)
                continue
        return True
    return False
