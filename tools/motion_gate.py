"""What the motion gate saves and misses: `python -m tools.motion_gate`, minutes. Writes tools/reports/motion_gate.

The demo clip goes through the pipeline with and without the gate; its cost is CPU time, which a busy machine distorts
little. The barn simulator has no pictures: there the gate sees a keypoint move by one cell of its grid, or by half.
`--only` measures some of the three sections; the others stay as they were measured before.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
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
from tools.barn.figures import delay_min
from tools.barn.life import TROUBLES
from tools.barn.tracks import Gate, View
from tools.barn.trial import CROWDED, EXPECTED, Outcome, rules, run_day, run_trouble
from tools.clip_images import clip_images
from tools.demo import CLIP
from tools.demo.stall import FPS
from tools.evaluate.clip import Score, read_truth, score
from tools.reports.writer import number, table, write

NAME = "motion_gate"
OUT = Path(__file__).parent / "reports" / NAME
SECTIONS = ("clip", "barn", "troubles")
DROPPED = 0.1  # share of the keypoints
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
    parser.add_argument("--troubles", type=int, default=2, help="simulations of every trouble, per row")
    parser.add_argument("--seed", type=int, default=401)
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=SECTIONS, metavar="SECTION")
    args = parser.parse_args()
    file = OUT / f"{NAME}.json"
    figures: dict[str, Any] = json.loads(file.read_text()) if file.is_file() else {}
    work: dict[str, Callable[[], dict[str, Any]]] = {
        "clip": clip_figures,
        "barn": lambda: barn_figures(range(args.seed, args.seed + args.crowded)),
        "troubles": lambda: trouble_figures(range(args.seed, args.seed + args.troubles)),
    }
    figures |= {name: work[name]() for name in args.only}
    write(OUT, page(figures), figures, name=NAME)


def clip_figures() -> dict[str, Any]:
    """Return the figures of the demo clip by gate."""
    images = list(clip_images(CLIP))
    found = {}
    for name, options in GATES.items():
        run = run_clip(images, options)
        scores = {
            kind: {"recall": one.recall, "precision": one.precision, **one.pck} for kind, one in run.scores.items()
        }
        found[name] = {"frames": len(images), "held": run.held, "cpu_ms": run.cpu_ms, **scores}
    return found


def barn_figures(seeds: Sequence[int]) -> dict[str, Any]:
    """Return the events of crowded simulations by what the gate sees."""
    found = {}
    for name, gate in SIGHTS.items():
        runs = [run_day(seed, CROWDED, DROPPED, gate=gate) for seed in seeds]
        found[name] = {"runs": len(runs), **{field: _total(runs, field) for field in ("missed", "right", "false")}}
    return found


def trouble_figures(seeds: Sequence[int]) -> dict[str, Any]:
    """Return by trouble and by what the gate sees: how many there were, and minutes until each was named."""
    return {trouble: {name: _named(trouble, seeds, gate) for name, gate in SIGHTS.items()} for trouble in TROUBLES}


def _named(trouble: str, seeds: Sequence[int], gate: Gate | None) -> dict[str, Any]:
    runs = [run_trouble(seed, trouble, DROPPED, gate) for seed in seeds]
    delays = [delay_min(run, EXPECTED[trouble]) for run in runs]
    critical = [kind for run in runs for kind, _ in run.found if rules()[kind] == "critical"]
    others = sum(kind not in EXPECTED[trouble] for kind in critical)
    missed, right = (sum(_total(runs, field).values()) for field in ("missed", "right"))
    return {"there": len(runs), "minutes": delays, "other critical": others, "missed": missed, "right": right}


def _total(runs: list[Outcome], field: str) -> Counter[str]:
    return sum((getattr(run, field) for run in runs), Counter[str]())


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


def page(figures: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of the report, of the sections that were measured."""
    yield "# What the motion gate saves and misses\n"
    yield "`python -m tools.motion_gate`. A held frame keeps the subjects of an earlier one."
    if clip := figures.get("clip"):
        length = f"{clip['off']['frames']} frames at {FPS} Hz"
        yield f"\n## The demo clip: {length}, with film grain, in which something moves nearly always\n"
        yield from _clip_table(clip)
    yield "\n## Simulated stalls\n"
    yield "The simulator has no pictures. A movement is seen from that of one keypoint by a cell of the grid on"
    yield f"({CELL_PX:g} px of 1280), or by half a cell; the gate has its defaults."
    if barn := figures.get("barn"):
        runs = barn["off"]["runs"]
        yield f"\n{runs} times four hours in which every behaviour occurs: events found, and false ones:\n"
        yield from _barn_table(barn)
    if troubles := figures.get("troubles"):
        there = next(iter(troubles.values()))["off"]["there"]
        yield f"\n{there} of each trouble: how many were named by an alert, median minutes from the first signs to it,"
        yield "in brackets the acts counted of those there were, and critical alerts that name another trouble:\n"
        yield from _trouble_table(troubles)
        yield "\nThe alert of a horse that collapses wants most of a day to be watched, and a trouble is simulated for"
        yield "four hours: without the gate it is not raised either. The collapses themselves are counted."


def _clip_table(clip: dict[str, Any]) -> list[str]:
    head = ("gate", "frames held", "CPU ms a frame", "horse: recall", "PCK@0.2", "person: recall", "PCK@0.2")
    rows = []
    for name, run in clip.items():
        scores = [run[kind][key] for kind in ("horse", "person") for key in ("recall", "PCK@0.2 torso")]
        rows.append((name, run["held"], number(run["cpu_ms"], 1), *(number(value, 3) for value in scores)))
    return table(head, rows)


def _barn_table(barn: dict[str, Any]) -> list[str]:
    names = sorted({*barn["off"]["right"], *barn["off"]["missed"]})
    rows = []
    for sight, run in barn.items():
        right, missed, false = (Counter(run[field]) for field in ("right", "missed", "false"))
        rows.append((sight, *(f"{right[n]}/{right[n] + missed[n]}, {false[n]}" for n in names)))
    return table(("gate sees", *names), rows)


def _trouble_table(troubles: dict[str, Any]) -> list[str]:
    def cell(run: dict[str, Any]) -> str:
        named = [minutes for minutes in run["minutes"] if minutes is not None]
        late = f" after {median(named):.1f}" if named else ""
        acts = f"{run['right']}/{run['right'] + run['missed']}"
        return f"{len(named)}/{run['there']}{late} ({acts}), {run['other critical']}"

    return table(
        ("gate sees", *troubles), [(sight, *(cell(by[sight]) for by in troubles.values())) for sight in SIGHTS]
    )


if __name__ == "__main__":
    main()
