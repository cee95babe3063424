"""`python -m tools.tracking`: ids kept and time spent, ours beside the libraries that are installed."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from edged.units import NS_PER_S
from tools.tracking.clips import detections
from tools.tracking.rivals import TRACKERS, TrackerFactory
from tools.tracking.scenes import MIN_CONFIDENT, SCENES, Scene
from tools.tracking.score import TrackingScore


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.tracking", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="runs of each scene (%(default)s)")
    parser.add_argument("--clip", type=Path, help="count the ids on this video instead")
    parser.add_argument("--detector", type=Path, help="RTMDet ONNX file with NMS, 320 x 320; needed by --clip")
    parser.add_argument("--every", type=int, default=1, help="use every n-th frame of the clip (%(default)s)")
    args = parser.parse_args()
    if args.clip and not args.detector:
        parser.error("--clip needs --detector")
    rivals = _installed_trackers()
    if args.clip:
        _clip(rivals, args.detector, args.clip, args.every)
    else:
        _scenes(rivals, args.seeds)


def _installed_trackers() -> dict[str, TrackerFactory]:
    rivals = {}
    for name, make in TRACKERS.items():
        try:
            make(30.0)
            rivals[name] = make
        except (ImportError, AttributeError) as missing:
            print(f"{name:24}skipped: {missing}")
    return rivals


def _scenes(rivals: dict[str, TrackerFactory], seeds: int) -> None:
    print(f"{'tracker':24}{'scene':20}{'IDF1':>7}{'MOTA':>7}{'switches':>10}{'breaks':>8}")
    for name, make in rivals.items():
        total = TrackingScore()
        for scene in SCENES:
            _print(name, scene.name, _measure(make, scene, seeds, TrackingScore()))
            _measure(make, scene, seeds, total)
        _print(name, "all", total)
        print(f"{name:24}us per update: " + ", ".join(f"n={n} {_cost_us(make, n):.0f}" for n in (1, 4, 16)))


def _clip(rivals: dict[str, TrackerFactory], detector: Path, clip: Path, every: int) -> None:
    steps = [(t_ns, boxes) for t_ns, _, boxes in detections(detector, clip, every)]
    sure = sum(int((boxes.score >= MIN_CONFIDENT).sum()) for _, boxes in steps)
    print(f"{clip.name}: {len(steps)} frames, {sure} sure boxes")
    fps = NS_PER_S * (len(steps) - 1) / max(1, steps[-1][0])
    for name, make in rivals.items():
        tracker = make(fps)
        ids = np.concatenate([tracker.update(boxes, t_ns) for t_ns, boxes in steps])
        print(f"{name:24}ids {len(set(ids[ids > 0].tolist())):4d}   boxes with an id {int((ids > 0).sum()):5d}")


def _measure(make: TrackerFactory, scene: Scene, seeds: int, tally: TrackingScore) -> TrackingScore:
    for seed in range(seeds):
        tracker = make(sum(scene.fps) / 2)
        for step in scene.steps(seed):
            ids = tracker.update(step.boxes, step.t_ns)
            kept = ids > 0
            tally.add(step, ids[kept], step.boxes.xyxy[kept])
        tally.new_scene()
    return tally


def _print(name: str, scene: str, tally: TrackingScore) -> None:
    figures = f"{tally.idf1:7.3f}{tally.mota:7.3f}{tally.switches:10d}{tally.fragmentations:8d}"
    print(f"{name:24}{scene:20}{figures}", flush=True)


def _cost_us(make: TrackerFactory, subjects: int) -> float:
    """Median time of one update."""
    steps = list(Scene(name="cost", subjects=subjects, fps=(30, 30), seconds=10).steps(0))
    tracker, times = make(30.0), []
    for step in steps:
        start = time.perf_counter_ns()
        tracker.update(step.boxes, step.t_ns)
        times.append(time.perf_counter_ns() - start)
    return sorted(times)[len(times) // 2] / 1000


if __name__ == "__main__":
    main()
