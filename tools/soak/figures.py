"""Figures and verdict of a soak test, computed from the samples. No input or output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

WARM_UP = 0.3  # share of the run that is ignored: memory grows until the frame with most subjects has occurred
MAX_MB_PER_H = 1.0
S_PER_H = 3600.0
MAX_STOP_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    at_s: float
    rss_mb: float
    files: int
    threads: int
    cpu_s: float  # used since the start


def figures(
    samples: Sequence[Sample], healths: Sequence[Mapping[str, Any]], *, exit_code: int, stop_s: float
) -> dict[str, Any]:
    """Return the figures of the report; `faults` lists the limits that are exceeded."""
    judged = [sample for sample in samples if sample.at_s >= WARM_UP * samples[-1].at_s]
    slope, error = _rise(judged)
    later, later_error = _rise(judged[len(judged) // 2 :])
    last = healths[-1] if healths else {"cameras": {}}
    frame_counts = {name: camera["frames"] for name, camera in last["cameras"].items()}
    found: dict[str, Any] = {
        "minutes": round(samples[-1].at_s / 60, 1),
        "rss_mb": {"first": round(judged[0].rss_mb, 2), "last": round(judged[-1].rss_mb, 2)},
        "rss_mb_per_h": round(slope, 3),
        "rss_mb_per_h_error": round(error, 3),
        "rss_mb_per_h_later": round(later, 3),
        "rss_mb_per_h_later_error": round(later_error, 3),
        "files": _range([s.files for s in judged]),
        "threads": _range([s.threads for s in judged]),
        "cores": round((judged[-1].cpu_s - judged[0].cpu_s) / (judged[-1].at_s - judged[0].at_s), 3),
        "healths": len(healths),
        "unbalanced": sum(not _balanced(frames) for body in healths for frames in _frame_counts(body)),
        "frame_counts": frame_counts,
        "messages": last.get("mqtt"),
        "exit_code": exit_code,
        "stop_s": round(stop_s, 2),
        "samples": [{key: round(value, 3) for key, value in asdict(sample).items()} for sample in samples],
    }
    faults = _faults(found)
    return {**found, "faults": faults, "good": not faults}


def slope_per_h(at_s: Sequence[float], values: Sequence[float]) -> tuple[float, float]:
    """Return the slope per hour by least squares, and its standard error."""
    hours, y = np.asarray(at_s) / S_PER_H, np.asarray(values)
    away = hours - hours.mean()
    slope = float(away @ (y - y.mean()) / (away @ away))
    rest = y - y.mean() - slope * away
    return slope, float(np.sqrt(rest @ rest / max(1, len(y) - 2) / (away @ away)))


def _rise(samples: Sequence[Sample]) -> tuple[float, float]:
    return slope_per_h([sample.at_s for sample in samples], [sample.rss_mb for sample in samples])


def _faults(found: Mapping[str, Any]) -> list[str]:
    faults = []
    if found["rss_mb_per_h"] >= MAX_MB_PER_H:
        faults.append(f"resident memory rises by {found['rss_mb_per_h']} MB/h; want less than {MAX_MB_PER_H:g}")
    for what in ("files", "threads"):
        if found[what]["last"] > found[what]["first"]:
            faults.append(f"{what}: {found[what]['first']} at first, {found[what]['last']} at last")
    if found["unbalanced"] or any(
        not _balanced(frames) or frames["waiting"] for frames in found["frame_counts"].values()
    ):
        faults.append("frame counts do not balance")
    if not found["frame_counts"] or any(not frames["processed"] for frames in found["frame_counts"].values()):
        faults.append("a camera had no frame processed")
    if found["exit_code"]:
        faults.append(f"exit code {found['exit_code']}")
    if found["stop_s"] > MAX_STOP_S:
        faults.append(f"SIGTERM to exit took {found['stop_s']} s; want {MAX_STOP_S:g}")
    return faults


def _range(values: Sequence[int]) -> dict[str, int]:
    """Return first, last, least and most; first and last are medians of a tenth, as reopening changes counts."""
    tenth = max(1, len(values) // 10)
    first, last = (round(float(np.median(part))) for part in (values[:tenth], values[-tenth:]))
    return {"first": first, "last": last, "least": min(values), "most": max(values)}


def _frame_counts(body: Mapping[str, Any]) -> list[Mapping[str, int]]:
    return [camera["frames"] for camera in body["cameras"].values()]


def _balanced(frames: Mapping[str, int]) -> bool:
    return frames["captured"] == frames["processed"] + frames["dropped"] + frames["failed"] + frames["waiting"]
