"""`python -m tools.tracking`: id accuracy and time per update, compared with installed libraries."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edged.units import NS_PER_S
from tools.reports import writer
from tools.tracking.clips import detections
from tools.tracking.scenes import MIN_CONFIDENT, SCENES, Scene
from tools.tracking.score import TrackingScore
from tools.tracking.trackers import TRACKERS, TrackerFactory

REPORT = Path(__file__).parents[1] / "reports/tracking"
SUBJECTS = (1, 4, 16)  # of the scenes that the time of an update is measured in
HEADER = """# Tracking

Remade by `python -m tools.tracking`. Scenes of walkers whose truth is known: they turn, cross, hide and are missed by
the detector, at irregular rates, {seeds} runs each (seeds 0 to {last}). Every tracker gets the same detections; those
below {low} may only continue a track. IDF1 (Ristani et al., 2016) measures how long ids are kept, MOTA (Bernardin &
Stiefelhagen, 2008) counts misses, false boxes and switches. Times are medians of one update.
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.tracking", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="runs of each scene (%(default)s)")
    parser.add_argument("--out", type=Path, default=REPORT, help="folder of the report (%(default)s)")
    parser.add_argument("--clip", type=Path, help="count the ids on this video instead")
    parser.add_argument("--detector", type=Path, help="RTMDet ONNX file with NMS, 320 x 320; needed by --clip")
    parser.add_argument("--every", type=int, default=1, help="use every n-th frame of the clip (%(default)s)")
    args = parser.parse_args()
    if args.clip and not args.detector:
        parser.error("--clip needs --detector")
    trackers = _installed_trackers()
    if args.clip:
        _clip(trackers, args.detector, args.clip, args.every)
        return
    figures = {
        "seeds": args.seeds,
        "environment": writer.environment(("numpy", "supervision", "trackers", "norfair")),
        "trackers": {name: _figures(make, args.seeds) for name, make in trackers.items()},
    }
    page = markdown(figures)
    writer.write(args.out, page, figures, name="tracking")
    print("\n".join(page))


def markdown(figures: Mapping[str, Any]) -> list[str]:
    """The lines of the report."""
    trackers: Mapping[str, Any] = figures["trackers"]
    head = HEADER.format(seeds=figures["seeds"], last=figures["seeds"] - 1, low=MIN_CONFIDENT)
    totals = [
        (name, f"{one['all']['idf1']:.3f}", f"{one['all']['mota']:.3f}", one["all"]["switches"],
         one["all"]["fragmentations"], *(f"{one['update_us'][str(n)]:.0f}" for n in SUBJECTS))
        for name, one in trackers.items()
    ]  # fmt: skip
    scenes = [
        (scene.name, *(f"{one['scenes'][scene.name]['idf1']:.3f}" for one in trackers.values())) for scene in SCENES
    ]
    times = [f"µs, {n} subject{'s' if n > 1 else ''}" for n in SUBJECTS]
    return [
        *head.splitlines(),
        "",
        *writer.table(("all scenes", "IDF1", "MOTA", "switches", "fragmentations", *times), totals),
        "",
        *writer.table(("IDF1", *trackers), scenes),
        "",
        writer.environment_line(figures["environment"]),
    ]


def _installed_trackers() -> dict[str, TrackerFactory]:
    trackers = {}
    for name, make in TRACKERS.items():
        try:
            make(30.0)
            trackers[name] = make
        except (ImportError, AttributeError) as missing:
            print(f"{name:24}skipped: {missing}")
    return trackers


def _figures(make: TrackerFactory, seeds: int) -> dict[str, Any]:
    total = TrackingScore()
    scenes = {}
    for scene in SCENES:
        scenes[scene.name] = _measure(make, scene, seeds, TrackingScore()).figures()
        _measure(make, scene, seeds, total)
    return {"scenes": scenes, "all": total.figures(), "update_us": {str(n): _update_us(make, n) for n in SUBJECTS}}


def _clip(trackers: dict[str, TrackerFactory], detector: Path, clip: Path, every: int) -> None:
    steps = [(t_ns, boxes) for t_ns, _, boxes in detections(detector, clip, every)]
    confident = sum(int((boxes.score >= MIN_CONFIDENT).sum()) for _, boxes in steps)
    print(f"{clip.name}: {len(steps)} frames, {confident} confident boxes")
    fps = NS_PER_S * (len(steps) - 1) / max(1, steps[-1][0])
    for name, make in trackers.items():
        tracker = make(fps)
        ids = np.concatenate([tracker.update(boxes, t_ns) for t_ns, boxes in steps])
        print(f"{name:24}ids {len(set(ids[ids > 0].tolist())):4d}   boxes with an id {int((ids > 0).sum()):5d}")


def _measure(make: TrackerFactory, scene: Scene, seeds: int, score: TrackingScore) -> TrackingScore:
    for seed in range(seeds):
        tracker = make(sum(scene.fps) / 2)
        for step in scene.steps(seed):
            ids = tracker.update(step.boxes, step.t_ns)
            kept = ids > 0
            score.add(step, ids[kept], step.boxes.xyxy[kept])
        score.new_scene()
    return score


def _update_us(make: TrackerFactory, subjects: int) -> float:
    """Median processor time of one update."""
    steps = list(Scene(name="cost", subjects=subjects, fps=(30, 30), seconds=10).steps(0))
    tracker, times = make(30.0), []
    for step in steps:
        start = time.thread_time_ns()
        tracker.update(step.boxes, step.t_ns)
        times.append(time.thread_time_ns() - start)
    return sorted(times)[len(times) // 2] / 1000


if __name__ == "__main__":
    main()
