"""The eight configurations people compare: what runs the starter models, where, and whether all of it or only poses.

Those that can run here are measured; the others say why not. All drive the same CPU backend: only the sessions differ.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np

from edged.frame import F32
from edged.inference.cpu.backend import PoseEstimator
from edged.inference.cpu.onnxruntime import OrtSession
from edged.inference.session import Session
from engines.card import Card
from engines.catalogue import load
from tools.bench.absent import Absent
from tools.bench.contenders import Ours, on_cpu, path_of
from tools.bench.frames import Scene, Shown
from tools.bench.peers import made_of
from tools.bench.turns import by_turns, summary, timed_ms

DETECTOR, POSE = "det-person-horse", "rtmpose-t-lsp14"
GPU = Path("/dev/nvidiactl"), Path("/dev/nvhost-gpu"), Path("/dev/nvgpu")


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    runner: Literal["PyTorch", "ONNX Runtime", "TensorRT FP16"]
    place: Literal["CPU", "GPU"]
    whole: bool  # detect + pose; else the pose alone

    @property
    def name(self) -> str:
        return f"{self.runner}, {self.place}, {'detect + pose' if self.whole else 'pose only'}"


CONFIGURATIONS = (
    Configuration(runner="PyTorch", place="CPU", whole=True),
    Configuration(runner="PyTorch", place="CPU", whole=False),
    Configuration(runner="ONNX Runtime", place="CPU", whole=True),
    Configuration(runner="ONNX Runtime", place="CPU", whole=False),
    Configuration(runner="PyTorch", place="GPU", whole=True),
    Configuration(runner="ONNX Runtime", place="GPU", whole=True),
    Configuration(runner="TensorRT FP16", place="GPU", whole=True),
    Configuration(runner="TensorRT FP16", place="GPU", whole=False),
)


class TorchSession:
    """A starter model as PyTorch runs it, eager, FP32: a session like any other, whatever device the net is on.

    Its weights are those of the model's ONNX file.
    """

    def __init__(self, card: Card, device: str = "cpu") -> None:
        import torch  # noqa: PLC0415

        self.card, self._torch, self._device = card, torch, device
        self._net = torch_net(card, path_of(card.name)).to(device)
        torch.set_num_threads(os.cpu_count() or 1)

    def run(self, tensor: F32) -> list[F32]:
        with self._torch.inference_mode():
            return [out.cpu().numpy() for out in self._net(self._torch.from_numpy(tensor).to(self._device))]

    def close(self) -> None:
        """Goes with its last reference."""


def torch_net(card: Card, file: Path) -> Any:
    """The net of a starter model with the weights of its ONNX file, to be run."""
    from tools.nets.starter import Detector, pose_net  # noqa: PLC0415
    from tools.train.weights import take  # noqa: PLC0415

    points = {"lsp-14": 14, "ap10k-17": 17}
    net = Detector() if card.pose is None else pose_net(points[card.pose.schema_name], card.input.size_wh)
    take(net, file)
    return net.eval()


def on_torch(device: str = "cpu") -> Ours:
    """The starter models in PyTorch, the CPU backend around them. Raises `Absent`."""
    if lack := torch_lacks(device):
        raise Absent(lack)
    return on_cpu(*(TorchSession(load()[name], device) for name in (DETECTOR, POSE)))


def why_not(configuration: Configuration) -> str:
    """Why it cannot be measured here; empty where it can."""
    if configuration.place == "GPU":
        if not any(path.exists() for path in GPU):
            return "no NVIDIA GPU in this machine"
        return "python -m tools.cuda measures what there is on a GPU"
    return torch_lacks() if configuration.runner == "PyTorch" else ""


def torch_lacks(device: str = "cpu") -> str:
    """Why PyTorch cannot run the starter models here; empty where it can."""
    if find_spec("torch") is None:
        return "torch is not installed (pip install '.[train]')"
    if device == "cuda":
        import torch  # noqa: PLC0415

        if not torch.cuda.is_available():
            return f"torch {torch.__version__} finds no CUDA here"
    return ""


def measure(scenes: Sequence[Scene], turns: int) -> list[dict[str, Any]]:
    """A row for each of the eight, those that run by turns: one subject, the same frames."""
    reasons = {c: why_not(c) for c in CONFIGURATIONS}
    runners = dict.fromkeys(c.runner for c, why in reasons.items() if not why)
    made = {runner: [_session(runner, name) for name in (DETECTOR, POSE)] for runner in runners}
    blocks = {c.name: Turns(c, made[c.runner], scenes) for c, why in reasons.items() if not why}
    times = by_turns(blocks, turns)
    return [
        {"name": c.name, "why_not": why}
        if why
        else {"name": c.name, "ms": summary(times[c.name]), "runs": len(times[c.name]), **blocks[c.name].figures()}
        for c, why in reasons.items()
    ]


class Turns:
    """One configuration's turns, a scene each. The boxes of the pose alone are found beforehand."""

    def __init__(self, configuration: Configuration, sessions: Sequence[Session], scenes: Sequence[Scene]) -> None:
        detector, pose = sessions
        ours = on_cpu(detector, pose)
        self._whole, self._ours, self._scenes = configuration.whole, ours, scenes
        self._estimator = PoseEstimator(pose)
        self._stages: list[Mapping[str, int]] = []
        self._ms: list[float] = []
        self._boxes = {} if self._whole else {scene[0].scene: ours.boxes(scene[0]) for scene in scenes}
        self._missed = 0

    def __call__(self, turn: int) -> list[float]:
        scene = self._scenes[turn % len(self._scenes)]
        times = [timed_ms(partial(self._one, shown)) for shown in scene]
        if self._whole:
            self._stages += self._ours.stages[-len(scene) :]
            self._ms += times
        return times

    def figures(self) -> dict[str, Any]:
        """What only the whole loop has."""
        return {**(made_of(self._stages, np.array(self._ms)) if self._whole else {}), "missed": self._missed}

    def _one(self, shown: Shown) -> None:
        if self._whole:
            self._missed += self._ours(shown) != 1
        else:
            self._estimator.estimate(shown.bgr, self._boxes[shown.scene], lambda stage: None)


def _session(runner: str, name: str) -> Session:
    card = load()[name]
    return TorchSession(card) if runner == "PyTorch" else OrtSession(card, path_of(name))
