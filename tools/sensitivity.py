"""`python -m tools.sensitivity`: what half and twice of the tuned numbers would do.

Tracking: the scenes of `tools.tracking`, with other seeds than those it was tuned on. Smoothing: the keypoints of the
starter models on the demonstration clip, against the rendered truth. Horse: parts of simulated days of `tools.barn`.
"""

from __future__ import annotations

import argparse
import gzip
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from edged.frame import F64
from edged.tracking import motion, one_euro, tracker
from edged.tracking.tracker import Tracker
from edged.units import NS_PER_MS
from tools.barn import tried
from tools.demo import CLIP
from tools.reports import writer
from tools.tracking.scenes import MIN_CONFIDENT, SCENES
from tools.tracking.score import TrackingScore
from tools.tracking.trackers import OUR_OPTIONS

REPORT = Path(__file__).parent / "reports/sensitivity"
FACTORS = (0.5, 1.0, 2.0)
SEEDS = tuple(range(10, 18))  # 0 to 2 chose the numbers
MIN_SCORE = 0.3  # of a keypoint: as in the cards of the starter models
PARTS = ("tracking", "smoothing", "horse")
HEADER = """# Half and twice of tuned numbers

Remade by `python -m tools.sensitivity`; `--part NAME` remakes one table. Each number alone is halved and doubled
(an IoU or a share to 0.95 at most), the others are as they are. A cell is the value that was tried, and what it gave.
"""
TRACKING_TEXT = f"""Scenes of `tools.tracking`, seeds {SEEDS[0]} to {SEEDS[-1]}, which chose nothing: IDF1 / MOTA,
higher is better."""
SMOOTHING_TEXT = """The horse of the demonstration clip, keypoints of the starter models: error from the truth / jitter
(RMS of the second difference), both in thousandths of the box size, lower is better. Unfiltered: {:.1f} / {:.1f}."""
HORSE_TEXT = f"""Parts of simulated stall-days (`tools.barn`), seeds from {tried.FIRST_SEED} on, which chose nothing:
share of the seconds with the right posture / recall / precision of the acts counted / recall / precision of alerts,
higher is better / minutes from a trouble's first signs to its alert (median), lower is better. {{:.0f}} acts,
{{:.0f}} troubles: 0.01 of the acts are one or two. No part judges people in a stall, mare and foal, what is usual on
other days, gait in an aisle, a stall without its floor's size, or the alert of collapses, which needs six hours."""
TEXTS = {"tracking": TRACKING_TEXT, "smoothing": SMOOTHING_TEXT, "horse": HORSE_TEXT}
MEASURES = {
    "tracking": {"IDF1": 3, "MOTA": 3},  # with the digits
    "smoothing": {"error": 1, "jitter": 1},
    "horse": {
        "posture": 3,
        "recall of acts": 2,
        "precision of acts": 2,
        "recall of alerts": 2,
        "precision of alerts": 2,
        "minutes": 1,
    },
}


class Tuned(NamedTuple):
    """One number, and the modules that have it by name; None: an option of `TrackConfig`."""

    name: str
    modules: tuple[ModuleType, ...] | None


TRACKING = (
    Tuned("min_iou", None),
    Tuned("ACCEL_PSD", (motion,)),
    Tuned("VELOCITY_DECAY_S", (motion,)),
    Tuned("BOX_STD", (motion, tracker)),
    Tuned("LOW_SCORE_IOU", (tracker,)),
)
SMOOTHING = (
    Tuned("MIN_CUTOFF_HZ", (one_euro,)),
    Tuned("BETA", (one_euro,)),
    Tuned("D_CUTOFF_HZ", (one_euro,)),
)


@contextmanager
def scaled(tuned: Tuned, factor: float) -> Iterator[float]:
    """The number times `factor` while the block runs; an IoU stays below 1."""
    before = getattr(tuned.modules[0] if tuned.modules else OUR_OPTIONS, tuned.name)
    value = min(before * factor, 0.95) if before < 1 and "IOU" in tuned.name.upper() else before * factor
    for module in tuned.modules or ():
        setattr(module, tuned.name, value)
    try:
        yield value
    finally:
        for module in tuned.modules or ():
            setattr(module, tuned.name, before)


def tracking_score(options: dict[str, float]) -> TrackingScore:
    """Over all scenes and seeds; `options` of `TrackConfig` that differ."""
    score = TrackingScore()
    for scene in SCENES:
        for seed in SEEDS:
            ours = Tracker(OUR_OPTIONS.model_copy(update=options), new_track_thresholds=MIN_CONFIDENT)
            for step in scene.steps(seed):
                ids = ours.update(step.boxes, step.t_ns)
                score.add(step, ids[ids > 0], step.boxes.xyxy[ids > 0])
            score.new_scene()
    return score


class Replay(NamedTuple):
    """The horse of the clip."""

    t_ns: list[int]
    keypoints: list[F64]  # (K, 3) each
    size_px: list[float]
    truth: list[F64]  # (K, 3) each


def replay() -> Replay:
    """What `edged infer` finds on the clip, frame by frame, with its truth."""
    command = [sys.executable, "-m", "edged", "infer", "--jsonl", str(CLIP)]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    truths = json.loads(gzip.decompress(CLIP.with_suffix(".json.gz").read_bytes()))["frames"]
    rows = []
    for message, truth in zip(map(json.loads, lines), truths, strict=True):
        found = [subject for subject in message["subjects"] if subject["class"] == "horse"]
        wanted = [subject for subject in truth if subject["class"] == "horse"]
        if found and wanted:
            x0, y0, x1, y1 = found[0]["box"]
            size_px = float(np.sqrt((x1 - x0) * (y1 - y0)))
            points = np.array(found[0]["keypoints"], np.float64), np.array(wanted[0]["keypoints"]["ap10k-17"])
            rows.append((round(message["source_ms"] * NS_PER_MS), points[0], size_px, points[1]))
    return Replay(*map(list, zip(*rows, strict=True)))


def error_and_jitter(run: Replay, *, smooth: bool) -> tuple[float, float]:
    """Mean distance to visible truth, and RMS of the second difference, in thousandths of the box size."""
    smoother = one_euro.OneEuroFilter(MIN_SCORE)
    shown = []
    for t_ns, keypoints, size_px in zip(run.t_ns, run.keypoints, run.size_px, strict=True):
        points = smoother(1, keypoints.astype(np.float32), size_px, t_ns) if smooth else keypoints
        shown.append(np.asarray(points[:, :2], np.float64) / size_px)
    at = np.array(shown)
    truth = np.array([one[:, :2] / size_px for one, size_px in zip(run.truth, run.size_px, strict=True)])
    visible = np.array([one[:, 2] == 2 for one in run.truth])
    error = np.nanmean(np.linalg.norm(at - truth, axis=2)[visible])
    return 1000 * float(error), 1000 * float(np.sqrt(np.nanmean(np.diff(at, n=2, axis=0) ** 2)))


def tracking() -> dict[str, Any]:
    """By number: what each factor gives."""
    made: dict[str, Any] = {}
    base = tracking_score({})
    for tuned in TRACKING:
        for factor in FACTORS:
            with scaled(tuned, factor) as value:
                score = base if factor == 1 else tracking_score({} if tuned.modules else {tuned.name: value})
            made.setdefault(tuned.name, []).append([value, score.idf1, score.mota])
    return made


def smoothing() -> dict[str, Any]:
    """The same; `raw`: unfiltered."""
    run = replay()
    made: dict[str, Any] = {"raw": error_and_jitter(run, smooth=False)}
    for tuned in SMOOTHING:
        for factor in FACTORS:
            with scaled(tuned, factor) as value:
                made.setdefault(tuned.name, []).append([value, *error_and_jitter(run, smooth=True)])
    return made


def horse() -> dict[str, Any]:
    """The same; `raw`: how many acts and troubles were judged."""
    with ProcessPoolExecutor(2) as pool:
        base = pool.submit(tried.run, tried.TRIED[0], 1.0)
        runs = {
            name: [base if factor == 1 else pool.submit(tried.run, name, factor) for factor in FACTORS]
            for name in tried.TRIED
        }
        made: dict[str, Any] = {"raw": base.result().judged}
        for name, found in runs.items():
            values = [tried.value(name, factor) for factor in FACTORS]
            made[name] = [[value, *one.result().scores] for value, one in zip(values, found, strict=True)]
            print(name, made[name], flush=True)
    return made


MAKERS: dict[str, Callable[[], dict[str, Any]]] = dict(zip(PARTS, (tracking, smoothing, horse), strict=True))


def markdown(made: Mapping[str, Any]) -> list[str]:
    """The lines of the report, of the parts that were made."""
    lines = HEADER.splitlines()
    for part in filter(made.__contains__, PARTS):
        runs = {name: cells for name, cells in made[part].items() if name not in ("raw", "environment")}
        digits = MEASURES[part].values()
        rows = [
            (name, *(f"{cell[0]:g}: " + " / ".join(map(writer.number, cell[1:], digits)) for cell in cells))
            for name, cells in runs.items()
        ]
        changes = "; ".join(largest_change(runs, at, *one) for at, one in enumerate(MEASURES[part].items(), 1))
        text = TEXTS[part].format(*made[part].get("raw", ()))
        lines += ["", *text.splitlines(), "", *writer.table((part, "half", "as it is", "twice"), rows)]
        lines += ["", f"Largest change: {changes}.", "", writer.environment_line(made[part]["environment"])]
    return lines


def largest_change(runs: Mapping[str, Sequence[Sequence[float]]], at: int, measure: str, digits: int) -> str:
    """Of the measure `at` this place of each cell: by which number, halved or doubled, and how much."""
    half, tuned, twice = range(len(FACTORS))
    changes = [
        (cells[factor][at] - cells[tuned][at], name, word)
        for name, cells in runs.items()
        for factor, word in ((half, "half"), (twice, "twice"))
    ]
    change, name, word = max(changes, key=lambda one: abs(one[0]))
    return f"{measure} {change:+.{digits}f} ({word} of {name})"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.sensitivity", description=__doc__)
    parser.add_argument("--out", type=Path, default=REPORT, help="folder of the report (%(default)s)")
    parser.add_argument("--part", choices=PARTS, action="append", help="only this table; repeatable")
    args = parser.parse_args()
    environment = writer.environment(("numpy",))
    fresh = {part: {**MAKERS[part](), "environment": environment} for part in args.part or PARTS}
    file = args.out / "sensitivity.json"
    made = json.loads(file.read_text()) if file.exists() else {}
    made |= fresh
    page = markdown(made)
    writer.write(args.out, page, made, name="sensitivity")
    print("\n".join(page))


if __name__ == "__main__":
    main()
