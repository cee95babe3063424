"""`python -m tools.bench`: what a frame costs here, beside rtmlib on the same files and frames, in one run.

Both take turns in short blocks, so that whatever else the machine does hits both; both must find everybody.
rtmlib is not a dependency: `pip install --no-deps rtmlib==0.0.16 tqdm`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from edged.frame import U8
from edged.units import NS_PER_MS
from tools.bench import growth, report
from tools.bench.contenders import SESSIONS, Contender, Ours, Rtmlib, disagreement_px
from tools.bench.frames import frames

SHARED = Path(__file__).parents[2].parent / "shared"
BLOCK = 10  # frames in a row
PAUSE_S = 0.05  # between turns: idle threads of the other have gone to sleep
FRAMES = 40


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.bench", description=__doc__)
    parser.add_argument("--detector", type=Path, default=SHARED / "models/upstream/rtmdet_nano.onnx")
    parser.add_argument("--media", type=Path, default=SHARED / "data/media")
    parser.add_argument("--rounds", type=int, default=20, help="turns of each contender (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--report", type=Path, metavar="FOLDER", help="write the report there")
    parser.add_argument("--compare", type=Path, metavar="EARLIER.json", help="fail when a ratio is worse than there")
    args = parser.parse_args()
    ours, theirs = Ours(args.detector), Rtmlib(args.detector)
    rows = []
    for people in (1, 4):
        images = frames(args.media, people, FRAMES, theirs)
        rows.append(measure(ours, theirs, images, people, args.rounds))
    views = [bgr for bgr, _ in images]
    figures = {
        "environment": environment(),
        "rows": rows,
        "subjects_ms": growth.by_subjects(ours, views, 3 * args.rounds),
        "size_ms": growth.by_size(ours, views, 3 * args.rounds),
    }
    show(figures)
    if args.report:
        report.write(args.report, figures)
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n")
    if args.compare and (found := report.worse(figures, json.loads(args.compare.read_text()))):
        raise SystemExit("worse than earlier: " + "; ".join(found))


def measure(ours: Ours, theirs: Rtmlib, images: list[tuple[U8, U8]], people: int, rounds: int) -> dict[str, Any]:
    """One row: both contenders on the same frames, turn by turn, after a block each to warm up."""
    for contender in (ours, theirs):
        timed_ms(contender, images[:BLOCK], people)
    ours.stages.clear()
    times: dict[Contender, list[float]] = {ours: [], theirs: []}
    began_s, busy_s = time.perf_counter(), time.process_time()
    for turn in range(rounds):
        block = [images[(turn * BLOCK + i) % len(images)] for i in range(BLOCK)]
        for contender in (ours, theirs) if turn % 2 == 0 else (theirs, ours):
            times[contender] += timed_ms(contender, block, people)
    cores_used = (time.process_time() - busy_s) / (time.perf_counter() - began_s)
    mine = np.array(times[ours])
    stages = {name: np.array([s.get(name, 0) for s in ours.stages]) / NS_PER_MS for name in ours.stages[0]}
    sessions = sum(stages[name] for name in SESSIONS)
    apart = np.concatenate([disagreement_px(ours, theirs, *image) for image in images])
    return {
        "people": people,
        "runs": len(mine),
        "ours_ms": summary(times[ours]),
        "rtmlib_ms": summary(times[theirs]),
        "speedup": float(np.sum(times[theirs]) / np.sum(mine)),
        "loop_per_sessions": float(np.median(mine / sessions)),
        "host_ms": float(np.median(mine - sessions)),
        "cores_used": cores_used,
        "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "stage_ms": {
            **{name: float(np.median(each)) for name, each in stages.items()},
            "tracks and rest": float(np.median(mine - sum(stages.values()))),
        },
        "keypoints_px": {
            "p99": float(np.percentile(apart, 99)),
            "max": float(apart.max()),
            "beyond_half_a_pixel": int((apart > 0.5).sum()),
            "count": len(apart),
        },
    }


def timed_ms(contender: Contender, images: list[tuple[U8, U8]], people: int) -> list[float]:
    time.sleep(PAUSE_S)
    times = []
    slots = [np.empty_like(image) for image in images[0]]
    for pair in images:
        for slot, image in zip(slots, pair, strict=True):  # as a capture thread leaves it: just written
            np.copyto(slot, image)
        bgr, rgb = slots
        start_ns = time.perf_counter_ns()
        found = contender(bgr, rgb)
        times.append((time.perf_counter_ns() - start_ns) / NS_PER_MS)
        if found != people:
            raise SystemExit(f"{type(contender).__name__} found {found} people where {people} are: not the same work")
    return times


def summary(times_ms: list[float]) -> dict[str, float]:
    ranks = {
        name: float(np.percentile(times_ms, q)) for name, q in (("p50", 50), ("p95", 95), ("p99", 99), ("max", 100))
    }
    return {**ranks, "frames_per_s": 1000 * len(times_ms) / sum(times_ms)}


def environment() -> dict[str, Any]:
    libraries = {name: version(name) for name in ("onnxruntime", "opencv-python", "numpy", "rtmlib")}
    return {"machine": platform.platform(), "cores": os.cpu_count(), "load": os.getloadavg()[0], **libraries}


def show(figures: dict[str, Any]) -> None:
    table = Table(box=None, header_style="bold")
    rows = figures["rows"]
    table.add_column("")
    for row in rows:
        table.add_column(f"{row['people']} people", justify="right")
    lines: dict[str, Callable[[Any], str]] = {
        "edged, frames/s": lambda r: f"{r['ours_ms']['frames_per_s']:.0f}",
        "rtmlib, frames/s": lambda r: f"{r['rtmlib_ms']['frames_per_s']:.0f}",
        "ratio": lambda r: f"{r['speedup']:.2f}",
        "edged, ms p50 / p95": lambda r: f"{r['ours_ms']['p50']:.1f} / {r['ours_ms']['p95']:.1f}",
        "rtmlib, ms p50 / p95": lambda r: f"{r['rtmlib_ms']['p50']:.1f} / {r['rtmlib_ms']['p95']:.1f}",
        "loop / sum of sessions": lambda r: f"{r['loop_per_sessions']:.3f}",
        "keypoints apart, px p99 / max": lambda r: f"{r['keypoints_px']['p99']:.2f} / {r['keypoints_px']['max']:.2f}",
        "  beyond 0.5 px": lambda r: "{beyond_half_a_pixel} of {count}".format(**r["keypoints_px"]),
    }
    for name, cell in lines.items():
        table.add_row(name, *(cell(row) for row in rows))
    for stage in rows[0]["stage_ms"]:
        table.add_row(f"  {stage}, ms", *(f"{row['stage_ms'].get(stage, 0):.2f}" for row in rows))
    console = Console()
    console.print(table)
    console.print(", ".join(f"{name} {value}" for name, value in figures["environment"].items()), highlight=False)


if __name__ == "__main__":
    main()
