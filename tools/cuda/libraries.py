"""The CUDA backend compared on the same GPU with rtmlib on ONNX Runtime's CUDA, and with a plain PyTorch loop.

Two tables, as no pair of models runs in all of them: rtmlib does not decode the raw heads of the starter detector, and
there is no PyTorch net of the published RTMDet-nano.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from engines.catalogue import load
from tools.bench import configurations
from tools.bench.contenders import DETECTOR, POSE, Contender, EdgedPipeline, Rtmlib
from tools.bench.frames import Scene
from tools.bench.libraries import compare, keypoint_distance_figures
from tools.bench.unavailable import Unavailable
from tools.cuda.figures import Figures, Makers

STARTER, PUBLISHED = configurations.DETECTOR, DETECTOR

Scenes = Callable[
    [int, EdgedPipeline], Sequence[Scene]
]  # scenes in which our pipeline finds so many people; raises `Unavailable`
Peers = Mapping[str, Callable[[], Contender]]  # by name; each may raise `Unavailable`


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerSetup:
    """Settings of a comparison."""

    scenes: Scenes
    turns: int
    people: tuple[int, ...] = (1, 2, 4)
    detector: Path  # RTMDet-nano as published
    device: Literal["cpu", "cuda"] = "cuda"  # of the other libraries


def starters(makers: Makers, setup: PeerSetup) -> Figures:
    """Return the comparison with the starter models."""
    peers: Peers = {
        "rtmlib": partial(_unavailable, "it does not decode the raw heads of this detector"),
        "PyTorch": partial(configurations.torch_pipeline, setup.device),
    }
    return table(makers, STARTER, peers, setup)


def published(makers: Makers, setup: PeerSetup) -> Figures:
    """Return the comparison with the published RTMDet-nano and the starter pose model."""
    peers: Peers = {
        "rtmlib": partial(Rtmlib, setup.detector, setup.device),
        "PyTorch": partial(_unavailable, "there is no PyTorch net of this detector"),
    }
    if not setup.detector.is_file():
        return {"absent": {"all": f"{setup.detector} does not exist; set --detector"}, "people": {}}
    return table(makers, PUBLISHED, peers, setup)


def table(makers: Makers, detector: str, peers: Peers, setup: PeerSetup) -> Figures:
    """Return the figures of all contenders by number of people, and the reasons of missing ones."""
    cards, people, absent = load(), dict[str, Any](), dict[str, str]()
    with closing(makers.backend()) as backend:
        pipeline = EdgedPipeline(backend, cards[detector], cards[POSE])
        contenders: dict[str, Contender] = {"edged": pipeline}
        for name, make in peers.items():
            try:
                contenders[name] = make()
            except Unavailable as reason:
                absent[name] = str(reason)
        for count in setup.people:
            pipeline.set_max_people(count)
            try:
                scenes = setup.scenes(count, pipeline)
            except Unavailable as reason:
                absent[f"{count} people"] = str(reason)
                continue
            figures, _ = compare(contenders, scenes, count, setup.turns)
            if isinstance(rtmlib := contenders.get("rtmlib"), Rtmlib):
                figures["keypoints_px"] = keypoint_distance_figures(pipeline, rtmlib, scenes)
            people[str(count)] = figures
    return {"people": people, "absent": absent}


def _unavailable(reason: str) -> Contender:
    raise Unavailable(reason)
