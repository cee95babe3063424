"""From what was read of a daemon to whether it grows. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

WARM_UP = 0.3  # share of the run that is not judged: memory grows to what the most subjects in a frame ever asked for
MOST_MB_PER_H = 1.0
S_PER_H = 3600.0
MOST_STOP_S = 2.0


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
    """What is reported, and under `faults` what is not as it should be."""
    kept = [sample for sample in samples if sample.at_s >= WARM_UP * samples[-1].at_s]
    slope, error = _rise(kept)
    later, later_error = _rise(kept[len(kept) // 2 :])
    last = healths[-1] if healths else {"cameras": {}}
    ledgers = {name: camera["frames"] for name, camera in last["cameras"].items()}
    found: dict[str, Any] = {
        "minutes": round(samples[-1].at_s / 60, 1),
        "rss_mb": {"first": round(kept[0].rss_mb, 2), "last": round(kept[-1].rss_mb, 2)},
        "rss_mb_per_h": round(slope, 3),
        "rss_mb_per_h_error": round(error, 3),
        "rss_mb_per_h_later": round(later, 3),
        "rss_mb_per_h_later_error": round(later_error, 3),
        "files": _range([s.files for s in kept]),
        "threads": _range([s.threads for s in kept]),
        "cores": round((kept[-1].cpu_s - kept[0].cpu_s) / (kept[-1].at_s - kept[0].at_s), 3),
        "healths": len(healths),
        "unbalanced": sum(not _balanced(frames) for body in healths for frames in _ledgers(body)),
        "ledger": ledgers,
        "messages": last.get("mqtt"),
        "exit_code": exit_code,
        "stop_s": round(stop_s, 2),
        "samples": [{key: round(value, 3) for key, value in asdict(sample).items()} for sample in samples],
    }
    faults = _faults(found)
    return {**found, "faults": faults, "good": not faults}


def slope_per_h(at_s: Sequence[float], values: Sequence[float]) -> tuple[float, float]:
    """Rise per hour by least squares, and its standard error."""
    hours, y = np.asarray(at_s) / S_PER_H, np.asarray(values)
    away = hours - hours.mean()
    slope = float(away @ (y - y.mean()) / (away @ away))
    rest = y - y.mean() - slope * away
    return slope, float(np.sqrt(rest @ rest / max(1, len(y) - 2) / (away @ away)))


def _rise(samples: Sequence[Sample]) -> tuple[float, float]:
    return slope_per_h([sample.at_s for sample in samples], [sample.rss_mb for sample in samples])


def _faults(found: Mapping[str, Any]) -> list[str]:
    faults = []
    if found["rss_mb_per_h"] >= MOST_MB_PER_H:
        faults.append(f"resident memory rises by {found['rss_mb_per_h']} MB/h; want less than {MOST_MB_PER_H:g}")
    for what in ("files", "threads"):
        if found[what]["last"] > found[what]["first"]:
            faults.append(f"{what}: {found[what]['first']} at first, {found[what]['last']} at last")
    if found["unbalanced"] or any(not _balanced(frames) or frames["waiting"] for frames in found["ledger"].values()):
        faults.append("frames are not accounted for")
    if not found["ledger"] or any(not frames["processed"] for frames in found["ledger"].values()):
        faults.append("a camera had no frame processed")
    if found["exit_code"]:
        faults.append(f"it ended with code {found['exit_code']}")
    if found["stop_s"] > MOST_STOP_S:
        faults.append(f"SIGTERM to exit took {found['stop_s']} s; want {MOST_STOP_S:g}")
    return faults


def _range(values: Sequence[int]) -> dict[str, int]:
    """First and last are medians of a tenth: a decoder that is opened anew lacks its threads for an instant."""
    tenth = max(1, len(values) // 10)
    first, last = (round(float(np.median(part))) for part in (values[:tenth], values[-tenth:]))
    return {"first": first, "last": last, "least": min(values), "most": max(values)}


def _ledgers(body: Mapping[str, Any]) -> list[Mapping[str, int]]:
    return [camera["frames"] for camera in body["cameras"].values()]


def _balanced(frames: Mapping[str, int]) -> bool:
    return frames["captured"] == frames["processed"] + frames["dropped"] + frames["failed"] + frames["waiting"]
