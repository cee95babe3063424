"""What runs models on the CPU: what is allowed, what a trial's times lead to, and when there is none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from edged.config.tables.models import ComputeConfig
from edged.errors import ConfigError
from edged.inference.cpu import choose as choosing
from edged.inference.cpu import runtimes
from edged.inference.cpu.runtimes import REFERENCE, Candidate, candidates
from edged.inference.cpu.trial import CandidateTime, TrialResults
from engines.catalogue import load

OPENVINO = Candidate("openvino", "fp32")
OPENVINO_INT8 = Candidate("openvino", "int8")
CARD = load()["rtmpose-t-lsp14"]


def results(**times: float | None) -> TrialResults:
    """`onnxruntime_fp32=20` as a trial's results; None: refused."""
    found = [
        CandidateTime(candidate=Candidate(*name.split("_")), ms=ms, fault="" if ms else "too far")  # type: ignore[arg-type]
        for name, ms in times.items()
    ]
    return TrialResults(results=found)


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtimes, "is_installed", lambda runtime: True)


@pytest.mark.parametrize(
    ("found", "best"),
    [
        (results(onnxruntime_fp32=20, openvino_fp32=17), OPENVINO),
        (results(onnxruntime_fp32=20, openvino_fp32=19), REFERENCE),
        (results(onnxruntime_fp32=20, openvino_fp32=30), REFERENCE),
        (results(onnxruntime_fp32=20, openvino_fp32=17, openvino_int8=10), OPENVINO_INT8),
        (results(onnxruntime_fp32=20, openvino_fp32=17, openvino_int8=None), OPENVINO),
        (results(onnxruntime_fp32=None, openvino_fp32=30), OPENVINO),
        (results(onnxruntime_fp32=None, openvino_fp32=None), REFERENCE),
    ],
    ids=["faster", "hardly faster", "slower", "INT8", "INT8 refused", "reference refused", "all refused"],
)
def test_fastest_wins_if_it_is_faster_by_a_tenth(found: TrialResults, best: Candidate) -> None:
    assert found.best == best


@pytest.mark.usefixtures("both")
def test_reference_comes_first_and_onnx_runtime_has_no_bf16() -> None:
    assert candidates("auto", "int8") == (REFERENCE, OPENVINO, Candidate("onnxruntime", "int8"), OPENVINO_INT8)
    assert candidates("auto", "bf16") == (REFERENCE, OPENVINO, Candidate("openvino", "bf16"))
    assert candidates("openvino", "fp32") == (OPENVINO,)


def test_library_that_is_missing_is_an_error_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtimes, "is_installed", lambda runtime: runtime == "onnxruntime")
    assert candidates("auto", "fp32") == (REFERENCE,)
    for runtime, precision in (("openvino", "fp32"), ("auto", "bf16")):
        with pytest.raises(ConfigError, match=r"pip install '\.\[openvino\]'"):
            candidates(runtime, precision)  # type: ignore[arg-type]


def test_bf16_on_onnx_runtime_is_a_contradiction() -> None:
    with pytest.raises(ValidationError, match="wants OpenVINO"):
        ComputeConfig(precision="bf16", cpu_runtime="onnxruntime")


@pytest.mark.usefixtures("both")
def test_trial_is_made_once_and_again_for_another_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []

    def trial(request: object) -> TrialResults:
        tried.append(1)
        return results(onnxruntime_fp32=20, openvino_fp32=10)

    monkeypatch.setattr(choosing, "_tried", trial)
    file = tmp_path / "model.onnx"
    for text in ("one", "one", "other weights"):
        if not file.exists() or file.read_text() != text:
            file.write_text(text)
        choice = choosing.choose(ComputeConfig(), [(CARD, {"fp32": file})], 2, tmp_path)
        assert choice.candidate == OPENVINO
        assert choice.reason == "measured: onnxruntime fp32 20.0 ms, openvino fp32 10.0 ms"
    assert len(tried) == 2


@pytest.mark.usefixtures("both")
def test_trial_that_fails_leaves_the_reference_and_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "_tried", lambda trial: None)
    file = tmp_path / "model.onnx"
    file.touch()
    choice = choosing.choose(ComputeConfig(), [(CARD, {"fp32": file})], 2, tmp_path)
    assert choice == (REFERENCE, "the trial failed")
    assert not (tmp_path / choosing.FILE).exists()


@pytest.mark.usefixtures("both")
def test_damaged_result_is_measured_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "_tried", lambda trial: results(onnxruntime_fp32=20, openvino_fp32=10))
    file = tmp_path / "model.onnx"
    file.touch()
    (tmp_path / choosing.FILE).write_text("{")
    choosing.choose(ComputeConfig(), [(CARD, {"fp32": file})], 2, tmp_path)
    assert len(json.loads((tmp_path / choosing.FILE).read_text())) == 1


def test_one_runtime_needs_no_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtimes, "is_installed", lambda runtime: runtime == "onnxruntime")
    choice = choosing.choose(ComputeConfig(), [(CARD, {"fp32": tmp_path / "absent"})], 2, tmp_path)
    assert choice == (REFERENCE, "")
