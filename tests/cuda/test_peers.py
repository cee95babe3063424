"""Peers take turns with the CUDA backend; those that cannot run are named and have no figure."""

from __future__ import annotations

import sys
import time
from functools import partial
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.cuda.emulated import Emulated
from tests.cuda.makers import ABSENT, RTMDET, course, makers, of_the_clip
from tools.bench import configurations, interleaved
from tools.bench.contenders import Contender, Rtmlib
from tools.bench.frames import BenchFrame, Scene
from tools.bench.unavailable import Unavailable
from tools.cuda.libraries import STARTER, published, table
from tools.cuda.report import beside_peers

FRAMES = 2  # of the scene


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interleaved, "PAUSE_S", 0.0)


class Napping:
    """A peer with a given time and number of poses."""

    def __init__(self, seconds: float, posed: int = 1) -> None:
        self._seconds, self._posed = seconds, posed

    def set_max_people(self, people: int) -> None: ...

    def __call__(self, frame: BenchFrame) -> int:
        time.sleep(self._seconds)
        return self._posed


def gone() -> Contender:
    raise Unavailable("it is not installed; pip install it")


def rtmlib_on(provider: str) -> Any:
    """rtmlib with ONNX Runtime on this provider."""
    devices: list[str] = []

    class Net:
        def __init__(self, *file: str, device: str, **more: Any) -> None:
            devices.append(device)
            self.session = SimpleNamespace(get_providers=lambda: [provider, "CPUExecutionProvider"])

    class RTMDet(Net):
        def __call__(self, bgr: Any) -> Any:
            return np.array([[20.0, 20.0, 120.0, 220.0]])

    class RTMPose(Net):
        def __call__(self, rgb: Any, boxes: Any) -> Any:
            return np.zeros((len(boxes), 17, 2)), None

    module = ModuleType("rtmlib")
    vars(module).update(RTMDet=RTMDet, RTMPose=RTMPose, devices=devices)
    return module


def test_peers_take_turns_and_absent_ones_are_named(emulated: Emulated) -> None:
    peers = {"slow": lambda: Napping(0.3), "quick": lambda: Napping(0.0, posed=2), "gone": gone}

    def for_few(people: int, ours: Any) -> list[Scene]:
        if people > 1:
            raise Unavailable("too few photographs")
        return of_the_clip(people, ours)

    left = emulated("alive")
    found = table(makers(), STARTER, peers, course(scenes=for_few, people=(1, 2), turns=2))
    assert emulated("alive") == left
    assert found["absent"] == {"gone": "it is not installed; pip install it", "2 people": "too few photographs"}
    (row,) = found["people"].values()
    assert list(row["ms"]) == ["edged", "slow", "quick"]
    assert row["runs"] == 2 * FRAMES
    assert row["different_counts"] == {"edged": 0, "slow": 0, "quick": 2 * FRAMES + FRAMES}, "warming up counts too"
    assert row["ms"]["slow"]["p50"] >= 300
    assert row["speedup"]["slow"] == pytest.approx(row["ms"]["slow"]["p50"] / row["ms"]["edged"]["p50"])
    assert set(row["longest"]["quick"]) == {"p50", "p95", "p99"}
    page = "\n".join(beside_peers(found))
    assert "| slow: ms p50 / p95 / p99 | 30" in page
    assert "- gone: not measured: it is not installed; pip install it" in page
    assert "- 2 people: not measured: too few photographs" in page
    assert "| gone" not in page


@pytest.mark.parametrize("provider", ["CUDAExecutionProvider", "CPUExecutionProvider"])
def test_rtmlib_is_measured_on_gpu_or_not_at_all(
    emulated: Emulated, monkeypatch: pytest.MonkeyPatch, provider: str
) -> None:
    module = rtmlib_on(provider)
    monkeypatch.setitem(sys.modules, "rtmlib", module)
    found = table(makers(), STARTER, {"rtmlib": partial(Rtmlib, ABSENT, "cuda")}, course())
    page = "\n".join(beside_peers(found))
    assert module.devices == ["cuda", "cuda"]
    assert ("rtmlib" in found["people"]["1"]["ms"]) == ("rtmlib: frames/s" in page) == provider.startswith("CUDA")
    assert ("rtmlib" in found["absent"]) == ("- rtmlib: not measured: " in page) == provider.startswith("CPU")
    if provider.startswith("CUDA"):
        assert found["people"]["1"]["keypoints_px"]["count"] == 17 * FRAMES
        assert "| distance of keypoints from rtmlib's" in page


def test_missing_peers_are_named_with_remedy(emulated: Emulated, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rtmlib", None)
    with pytest.raises(Unavailable, match="pip install --no-deps rtmlib"):
        Rtmlib(RTMDET, "cuda")
    monkeypatch.setattr(configurations, "find_spec", lambda name: None)
    with pytest.raises(Unavailable, match="torch is not installed"):
        configurations.torch_pipeline("cuda")


def test_published_detector_cut_before_nms_finds_same_boxes(emulated: Emulated) -> None:
    if not RTMDET.exists():
        pytest.skip(f"{RTMDET} is not there")
    found = published(makers("own-rtmdet-person"), course(detector=RTMDET, device="cpu"))
    assert found["people"]["1"]["different_counts"]["edged"] == 0
    assert "PyTorch" in found["absent"]
