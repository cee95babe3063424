"""The benchmark's report in Markdown with a picture of where a frame's time goes, and the guard over its ratios."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tools.bench.growth import slope_ms

SLACK = 1.1  # a ratio may be so much worse than earlier: what two runs of one machine differ by
WORSE_ABOVE, WORSE_BELOW = ("loop_per_sessions",), ("speedup",)
CONFIGURATIONS = (
    ("ONNX Runtime, CPU, detect + pose", "measured: below"),
    ("ONNX Runtime, CPU, pose only", "measured: growth with subjects"),
    ("PyTorch, CPU, detect + pose", "not measured: the product carries no PyTorch models"),
    ("PyTorch, CPU, pose only", "not measured: as above"),
    ("PyTorch, GPU, detect + pose", "not measured: no GPU in this machine"),
    ("ONNX Runtime, GPU, detect + pose", "not measured: as above"),
    ("TensorRT FP16, GPU, detect + pose", "not measured: as above"),
    ("TensorRT FP16, GPU, pose only", "not measured: as above"),
)
COLOURS = (
    (150, 200, 120),
    (120, 200, 220),
    (220, 150, 90),
    (160, 160, 160),
    (110, 110, 220),
    (90, 160, 240),
    (200,) * 3,
)


def write(folder: Path, figures: Mapping[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "README.md").write_text("\n".join(_lines(figures)) + "\n")
    cv2.imwrite(str(folder / "stages.png"), _picture(figures["rows"]))


def worse(figures: Mapping[str, Any], earlier: Mapping[str, Any]) -> list[str]:
    """The ratios that are worse than those of an earlier run by more than the slack."""
    before = {row["people"]: row for row in earlier["rows"]}
    out = []
    for row in figures["rows"]:
        if (old := before.get(row["people"])) is None:
            continue
        out += [_told(row, old, name) for name in WORSE_ABOVE if row[name] > old[name] * SLACK]
        out += [_told(row, old, name) for name in WORSE_BELOW if row[name] < old[name] / SLACK]
    return out


def _told(row: Mapping[str, Any], old: Mapping[str, Any], name: str) -> str:
    return f"{row['people']} people: {name} {row[name]:.3f}, was {old[name]:.3f}"


def _lines(figures: Mapping[str, Any]) -> Iterator[str]:
    yield "# Speed\n\nRemade by `python -m tools.bench --report tools/bench/report`. Milliseconds are of one run on one"
    yield "machine, with whatever else it did (its load is below); compare within a column, and the ratios.\n"
    yield ", ".join(f"{name} {value}" for name, value in figures["environment"].items()) + "\n"
    yield "| configuration | |\n| --- | --- |"
    yield from (f"| {name} | {said} |" for name, said in CONFIGURATIONS)
    rows = figures["rows"]
    yield "\n| | " + " | ".join(f"{row['people']} people" for row in rows) + " |\n| --- |" + " ---: |" * len(rows)
    yield from (_row(f"edged, ms {name}", [row["ours_ms"][name] for row in rows]) for name in ("p50", "p95", "p99"))
    yield from (_row(f"rtmlib, ms {name}", [row["rtmlib_ms"][name] for row in rows]) for name in ("p50", "p95", "p99"))
    yield _row("frames per second, edged / rtmlib", [row["speedup"] for row in rows])
    yield _row("loop / sum of sessions", [row["loop_per_sessions"] for row in rows])
    yield _row("host, ms (loop less sessions)", [row["host_ms"] for row in rows])
    yield _row("cores in use, both contenders", [row["cores_used"] for row in rows])
    yield _row("RSS after, MB", [row["rss_mb"] for row in rows])
    yield f"\n{rows[0]['runs']} measured runs of each contender per column, after warm-up, over moving views.\n"
    yield "![where a frame's time goes](stages.png)\n"
    yield f"Posing only, by subjects (slope {slope_ms(figures['subjects_ms']):.2f} ms each):\n"
    yield from _table(figures["subjects_ms"])
    yield "\nThe whole pipeline, by the size of the picture:\n"
    yield from _table(figures["size_ms"])


def _row(name: str, values: list[float]) -> str:
    return f"| {name} | " + " | ".join(f"{value:.2f}" for value in values) + " |"


def _table(costs: Mapping[str, float]) -> Iterator[str]:
    yield "| " + " | ".join(costs) + " |\n|" + " ---: |" * len(costs)
    yield "| " + " | ".join(f"{value:.1f} ms" for value in costs.values()) + " |"


def _picture(rows: list[Mapping[str, Any]]) -> np.ndarray[Any, Any]:
    """One bar per row, a piece per stage."""
    canvas = np.full((60 + 90 * len(rows), 900, 3), 255, np.uint8)
    most_ms = max(sum(row["stage_ms"].values()) for row in rows)
    for at, row in enumerate(rows):
        x, y = 20.0, 40 + 90 * at
        cv2.putText(canvas, f"{row['people']} people", (20, y - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 0, 1, cv2.LINE_AA)
        for (name, cost_ms), colour in zip(row["stage_ms"].items(), COLOURS, strict=False):
            end = x + 860 * cost_ms / most_ms
            cv2.rectangle(canvas, (round(x), y), (round(end), y + 30), colour, cv2.FILLED)
            if end - x > 70:
                text = f"{name} {cost_ms:.1f} ms"
                cv2.putText(canvas, text, (round(x) + 5, y + 20), cv2.FONT_HERSHEY_SIMPLEX, 0.45, 0, 1, cv2.LINE_AA)
            x = end
    return canvas
