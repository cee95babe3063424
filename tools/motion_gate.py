"""What the motion gate saves and misses: `python -m tools.motion_gate`, minutes. Writes tools/reports/motion_gate.

The demo clip goes through the pipeline with and without the gate; its cost is CPU time, which a busy machine distorts
little. The barn simulator has no pictures: there the gate sees a keypoint move by one cell of its grid, or by half.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edged.config.tables.camera import CameraConfig
from edged.config.tree import Config
from edged.frame import U8, Frame
from edged.inference.cpu.motion_gate import GRID_WIDTH, motion_gate
from edged.inference.load_models import load_models
from edged.messages import build
from edged.pipeline import Pipeline
from edged.runtime.clock import Clock
from edged.units import NS_PER_S
from tools.barn.tracks import Gate, View
from tools.barn.trial import CROWDED, Outcome, run_day
from tools.clip_images import clip_images
from tools.demo import CLIP
from tools.demo.stall import FPS
from tools.evaluate.clip import Score, read_truth, score
from tools.reports.writer import number, table, write

OUT = Path(__file__).parent / "reports/motion_gate"
GATES: dict[str, dict[str, Any]] = {
    "off": {"mode": "off"},
    "after 10 s of rest": {"mode": "on"},
    "at once": {"mode": "on", "rest_s": 0},
}
CELL_PX = View().size_wh[0] / GRID_WIDTH
SIGHTS = {"off": None, "one cell": Gate(sees_px=CELL_PX), "half a cell": Gate(sees_px=CELL_PX / 2)}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipRun:
    """The clip through one pipeline."""

    held: int  # frames without models
    cpu_ms: float  # per frame, of all threads
    scores: dict[str, Score]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.motion_gate", description=__doc__)
    parser.add_argument("--crowded", type=int, default=6, help="simulations of four hours of every behaviour, per row")
    parser.add_argument("--seed", type=int, default=401)
    args = parser.parse_args()
    images = list(clip_images(CLIP))
    clip = {name: run_clip(images, options) for name, options in GATES.items()}
    seeds = range(args.seed, args.seed + args.crowded)
    barn = {name: [run_day(seed, CROWDED, 0.1, gate=gate) for seed in seeds] for name, gate in SIGHTS.items()}
    figures = {"clip": {name: _clip_figures(run) for name, run in clip.items()}, "barn": _barn_figures(barn)}
    write(OUT, _page(clip, barn, len(images), args.crowded), figures, name="motion_gate")


def run_clip(images: list[U8], gate: dict[str, Any]) -> ClipRun:
    """The clip at its own rate, every frame."""
    config, headers = Config(), build.HeaderFactory(Clock())
    camera = CameraConfig.model_validate({"source": str(CLIP), "motion_gate": gate})
    models = load_models(config.models, config.compute)
    try:
        pipeline = Pipeline(camera, models.backend, models.detector, models.poses, gate=motion_gate(camera))
        results, begin_s = [], time.process_time()
        for seq, image in enumerate(images):
            t_ns = NS_PER_S + seq * NS_PER_S // FPS
            results.append(pipeline.run(Frame(camera="stall", seq=seq, captured_ns=t_ns, image=image)))
        cpu_ms = 1e3 * (time.process_time() - begin_s) / len(images)
    finally:
        models.backend.close()
    messages = [dict(build.poses(headers, result)) for result in results]
    scores = {kind: score(read_truth(CLIP), messages, kind) for kind in ("horse", "person")}
    return ClipRun(held=sum(result.held for result in results), cpu_ms=cpu_ms, scores=scores)


def _clip_figures(run: ClipRun) -> dict[str, Any]:
    scores = {kind: {"recall": one.recall, "precision": one.precision, **one.pck} for kind, one in run.scores.items()}
    return {"held": run.held, "cpu_ms": run.cpu_ms, **scores}


def _barn_figures(barn: dict[str, list[Outcome]]) -> dict[str, Any]:
    return {name: {"missed": _total(runs, "missed"), "right": _total(runs, "right")} for name, runs in barn.items()}


def _total(runs: list[Outcome], field: str) -> Counter[str]:
    return sum((getattr(run, field) for run in runs), Counter[str]())


def _page(clip: dict[str, ClipRun], barn: dict[str, list[Outcome]], frames: int, crowded: int) -> list[str]:
    return [
        "# What the motion gate saves and misses",
        "",
        f"`python -m tools.motion_gate --crowded {crowded}`. A held frame keeps the subjects of an earlier one.",
        "",
        f"## The demo clip: {frames} frames at {FPS} Hz, with film grain, in which something moves nearly always",
        "",
        *_clip_table(clip),
        "",
        f"## {crowded} simulated times four hours in which every behaviour occurs: events found, and false ones",
        "",
        f"The simulator has no pictures. A movement is seen from that of one keypoint by a cell of the grid on "
        f"({CELL_PX:g} px of 1280), or by half a cell; the gate has its defaults.",
        "",
        *_barn_table(barn),
    ]


def _clip_table(clip: dict[str, ClipRun]) -> list[str]:
    head = ("gate", "frames held", "CPU ms a frame", "horse: recall", "PCK@0.2", "person: recall", "PCK@0.2")
    rows = []
    for name, run in clip.items():
        scores = [v for one in run.scores.values() for v in (one.recall, one.pck["PCK@0.2 torso"])]
        rows.append((name, run.held, number(run.cpu_ms, 1), *(number(value, 3) for value in scores)))
    return table(head, rows)


def _barn_table(barn: dict[str, list[Outcome]]) -> list[str]:
    names = sorted(_total(barn["off"], "right") + _total(barn["off"], "missed"))
    rows = []
    for sight, runs in barn.items():
        right, missed, false = (_total(runs, field) for field in ("right", "missed", "false"))
        rows.append((sight, *(f"{right[n]}/{right[n] + missed[n]}, {false[n]}" for n in names)))
    return table(("gate sees", *names), rows)


if __name__ == "__main__":
    main()
