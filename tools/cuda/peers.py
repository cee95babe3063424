"""The CUDA backend beside its peers on the same GPU: rtmlib on ONNX Runtime's CUDA, and a plain PyTorch loop.

Two tables, for no pair of models runs everywhere: rtmlib does not decode the starter detector's raw heads, and of
RTMDet-nano as published there is no PyTorch net here.
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
from tools.bench.absent import Absent
from tools.bench.contenders import DETECTOR, POSE, Contender, Ours, Rtmlib
from tools.bench.frames import Scene
from tools.bench.peers import apart_px, beside
from tools.cuda.figures import Figures, Makers

STARTER, PUBLISHED = configurations.DETECTOR, DETECTOR

Scenes = Callable[[int, Ours], Sequence[Scene]]  # that show so many people to our pipeline; raises `Absent`
Peers = Mapping[str, Callable[[], Contender]]  # by name; each may raise `Absent`


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What everybody is put to, and where."""

    scenes: Scenes
    turns: int
    people: tuple[int, ...] = (1, 2, 4)
    detector: Path  # RTMDet-nano as published
    device: Literal["cpu", "cuda"] = "cuda"  # of the peers


def starters(makers: Makers, course: Course) -> Figures:
    """The starter models."""
    peers: Peers = {
        "rtmlib": partial(_absent, "it does not decode this detector's raw heads"),
        "PyTorch": partial(configurations.on_torch, course.device),
    }
    return table(makers, STARTER, peers, course)


def published(makers: Makers, course: Course) -> Figures:
    """RTMDet-nano as published, and the starter pose model."""
    peers: Peers = {
        "rtmlib": partial(Rtmlib, course.detector, course.device),
        "PyTorch": partial(_absent, "there is no PyTorch net for this detector here"),
    }
    if not course.detector.is_file():
        return {"absent": {"everybody": f"{course.detector} is not there; give --detector"}, "people": {}}
    return table(makers, PUBLISHED, peers, course)


def table(makers: Makers, detector: str, peers: Peers, course: Course) -> Figures:
    """Who is there by turns, for each number of people; who or what is absent, and why."""
    cards, people, absent = load(), dict[str, Any](), dict[str, str]()
    with closing(makers.backend()) as backend:
        ours = Ours(backend, cards[detector], cards[POSE])
        contenders: dict[str, Contender] = {"edged": ours}
        for name, make in peers.items():
            try:
                contenders[name] = make()
            except Absent as why:
                absent[name] = str(why)
        for count in course.people:
            ours.limit(count)
            try:
                scenes = course.scenes(count, ours)
            except Absent as why:
                absent[f"{count} people"] = str(why)
                continue
            figures, _ = beside(contenders, scenes, count, course.turns)
            if isinstance(rtmlib := contenders.get("rtmlib"), Rtmlib):
                figures["keypoints_px"] = apart_px(ours, rtmlib, scenes)
            people[str(count)] = figures
    return {"people": people, "absent": absent}


def _absent(why: str) -> Contender:
    raise Absent(why)
