"""Common configurations: the library that runs the starter models, the device, with or without the detector, people.

Those that can run here are measured; for the others the reason is stated. All use the CPU backend with other sessions.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np

from edged.config.tables.models import ModelsConfig
from edged.frame import F32
from edged.inference.cpu.backend import PoseEstimator
from edged.inference.cpu.int8_file import int8_file
from edged.inference.cpu.onnxruntime import OrtSession
from edged.inference.session import Session
from engines.card import Card
from engines.card.schema import SCHEMAS
from engines.catalogue import load
from tools.bench.contenders import EdgedPipeline, cpu_pipeline, model_path
from tools.bench.frames import BenchFrame, Scene
from tools.bench.interleaved import round_robin, summary, timed_ms
from tools.bench.libraries import stage_breakdown
from tools.bench.unavailable import Unavailable

DETECTOR, POSE = ModelsConfig().detector, ModelsConfig().pose["person"]
GPU = Path("/dev/nvidiactl"), Path("/dev/nvhost-gpu"), Path("/dev/nvgpu")


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    runner: Literal["PyTorch", "ONNX Runtime", "OpenVINO", "OpenVINO in INT8", "TensorRT FP16"]
    place: Literal["CPU", "GPU"]
    with_detector: bool  # detect + pose; else pose only
    people: int = 1

    @property
    def name(self) -> str:
        models = "detect + pose" if self.with_detector else "pose only"
        return f"{self.runner}, {self.place}, {models}{f', {self.people} people' if self.people > 1 else ''}"


CONFIGURATIONS = (
    Configuration(runner="PyTorch", place="CPU", with_detector=True),
    Configuration(runner="PyTorch", place="CPU", with_detector=False),
    Configuration(runner="ONNX Runtime", place="CPU", with_detector=True),
    Configuration(runner="ONNX Runtime", place="CPU", with_detector=False),
    Configuration(runner="OpenVINO", place="CPU", with_detector=True),
    Configuration(runner="OpenVINO in INT8", place="CPU", with_detector=True),
    Configuration(runner="ONNX Runtime", place="CPU", with_detector=True, people=4),
    Configuration(runner="OpenVINO", place="CPU", with_detector=True, people=4),
    Configuration(runner="OpenVINO in INT8", place="CPU", with_detector=True, people=4),
    Configuration(runner="PyTorch", place="GPU", with_detector=True),
    Configuration(runner="ONNX Runtime", place="GPU", with_detector=True),
    Configuration(runner="TensorRT FP16", place="GPU", with_detector=True),
    Configuration(runner="TensorRT FP16", place="GPU", with_detector=False),
)


class TorchSession:
    """A starter model in PyTorch, eager, FP32, on any device, as a `Session`.

    The weights are those of the ONNX file of the model.
    """

    def __init__(self, card: Card, device: str = "cpu") -> None:
        import torch  # noqa: PLC0415

        self.card, self._torch, self._device = card, torch, device
        self._net = torch_net(card, model_path(card.name)).to(device)
        torch.set_num_threads(os.cpu_count() or 1)

    def run(self, tensor: F32) -> list[F32]:
        with self._torch.inference_mode():
            return [out.cpu().numpy() for out in self._net(self._torch.from_numpy(tensor).to(self._device))]

    def close(self) -> None:
        """Do nothing: PyTorch frees the net with its last reference."""


def torch_net(card: Card, file: Path) -> Any:
    """Return the PyTorch net of a starter model as its ONNX file computes it, in eval mode, with its weights."""
    from tools.nets.starter import Calibrated, Detector, OfCard, pose_net  # noqa: PLC0415
    from tools.nets.weights import calibration, detector_classes, load_weights  # noqa: PLC0415

    if card.pose is None:
        detector = Detector(detector_classes(file))
        load_weights(detector, file)
        return OfCard(detector).eval()
    pose = pose_net(len(SCHEMAS[card.pose.schema_name]), card.input.size_wh)
    load_weights(pose, file)
    return Calibrated(pose, card.input.size_wh, *calibration(file)).eval()


def torch_pipeline(device: str = "cpu") -> EdgedPipeline:
    """Return the pipeline with the starter models in PyTorch and the CPU backend. Raises `Unavailable`."""
    if lack := torch_unavailable_reason(device):
        raise Unavailable(lack)
    return cpu_pipeline(*(TorchSession(load()[name], device) for name in (DETECTOR, POSE)))


def unavailable_reason(configuration: Configuration) -> str:
    """Return why a configuration cannot be measured here; empty if it can."""
    if configuration.place == "GPU":
        if not any(path.exists() for path in GPU):
            return "no NVIDIA GPU in this machine"
        return "measured by python -m tools.cuda"
    if configuration.runner == "PyTorch":
        return torch_unavailable_reason()
    if configuration.runner.startswith("OpenVINO") and find_spec("openvino") is None:
        return "openvino is not installed (pip install '.[openvino]')"
    if configuration.runner == "OpenVINO in INT8" and any(load()[name].int8 is None for name in (DETECTOR, POSE)):
        return "no INT8 of the starter models was measured"
    return ""


def torch_unavailable_reason(device: str = "cpu") -> str:
    """Return why PyTorch cannot run the starter models here; empty if it can."""
    if find_spec("torch") is None:
        return "torch is not installed (pip install '.[train]')"
    if device == "cuda":
        import torch  # noqa: PLC0415

        if not torch.cuda.is_available():
            return f"torch {torch.__version__} finds no CUDA here"
    return ""


def measure(scenes: Callable[[int], Sequence[Scene]], turns: int) -> list[dict[str, Any]]:
    """Return a row for each configuration, measured in turn; `scenes` gives those with a number of people."""
    reasons = {c: unavailable_reason(c) for c in CONFIGURATIONS}
    runners = dict.fromkeys(c.runner for c, why in reasons.items() if not why)
    sessions = {runner: [_session(runner, name) for name in (DETECTOR, POSE)] for runner in runners}
    shown = {people: scenes(people) for people in {c.people for c in CONFIGURATIONS}}
    blocks = {c.name: Turns(c, sessions[c.runner], shown[c.people]) for c, why in reasons.items() if not why}
    times = round_robin(blocks, turns)
    return [
        {"name": c.name, "why_not": why}
        if why
        else {"name": c.name, "ms": summary(times[c.name]), "runs": len(times[c.name]), **blocks[c.name].figures()}
        for c, why in reasons.items()
    ]


class Turns:
    """The turns of one configuration, one scene each. Without the detector, boxes are computed in advance."""

    def __init__(self, configuration: Configuration, sessions: Sequence[Session], scenes: Sequence[Scene]) -> None:
        detector, pose = sessions
        pipeline = cpu_pipeline(detector, pose)
        pipeline.set_max_people(configuration.people)
        self._with_detector, self._pipeline, self._scenes = configuration.with_detector, pipeline, scenes
        self._people = configuration.people
        self._estimator = PoseEstimator(pose)
        self._stages: list[Mapping[str, int]] = []
        self._ms: list[float] = []
        self._boxes = {} if self._with_detector else {scene[0].scene: _boxes(pipeline, scene[0]) for scene in scenes}
        self._missed = 0

    def __call__(self, turn: int) -> list[float]:
        scene = self._scenes[turn % len(self._scenes)]
        times = [timed_ms(partial(self._one, frame)) for frame in scene]
        if self._with_detector:
            self._stages += self._pipeline.stages[-len(scene) :]
            self._ms += times
        return times

    def figures(self) -> dict[str, Any]:
        """Return stage times, if the detector runs, and the number of frames with another number of poses."""
        return {
            **(stage_breakdown(self._stages, np.array(self._ms)) if self._with_detector else {}),
            "missed": self._missed,
        }

    def _one(self, frame: BenchFrame) -> None:
        if self._with_detector:
            self._missed += self._pipeline(frame) != self._people
        else:
            self._estimator.estimate(frame.bgr, self._boxes[frame.scene], lambda stage: None)


def _boxes(pipeline: EdgedPipeline, frame: BenchFrame) -> F32:
    """Return the boxes of the people; that of the picture where the detector finds nobody: the pose takes as long."""
    found = pipeline.boxes(frame)
    height, width = frame.bgr.shape[:2]
    return found if len(found) else np.array([[0, 0, width, height]], np.float32)


def _session(runner: str, name: str) -> Session:
    card, file = load()[name], model_path(name)
    if runner == "PyTorch":
        return TorchSession(card)
    if runner == "ONNX Runtime":
        return OrtSession(card, file)
    from edged.inference.cpu.openvino import OpenVinoSession  # noqa: PLC0415

    if runner == "OpenVINO":
        return OpenVinoSession(card, file)
    with TemporaryDirectory() as store:
        return OpenVinoSession(card, int8_file(Path(store), card, file))
