"""The configured cameras, opened as the daemon opens them: how soon, how fast, how evenly."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing

import numpy as np

from edged.capture.make_camera import make_camera
from edged.config.tables.camera import CameraConfig
from edged.errors import EdgedError
from edged.hardware_report.probe import Bench, ReportRow, Value, failed, not_possible
from edged.units import NS_PER_MS


def cameras(bench: Bench) -> Iterator[ReportRow]:
    if not bench.settings.enabled_cameras:
        yield not_possible("cameras", "none is configured; give --config")
    for name, settings in bench.settings.enabled_cameras.items():
        subject = f"{name} ({settings.source_kind})"
        try:
            yield ReportRow(subject=subject, figures=_measure_camera(name, settings, bench.seconds))
        except EdgedError as lost:
            yield failed(subject, str(lost))


def _measure_camera(name: str, settings: CameraConfig, seconds: float) -> dict[str, Value]:
    begun_s = time.monotonic()
    stamps_ns, ages_ms, undecoded, shape = [], [], 0, ""
    with closing(make_camera(name, settings).open()) as stream:
        opened_s = time.monotonic() - begun_s
        first_s = None
        while first_s is None or time.monotonic() - begun_s - first_s < seconds:
            shot = stream.read(None)
            if first_s is None:
                first_s = time.monotonic() - begun_s
            if not shot.image.size:
                undecoded += 1
                continue
            shape = f"{shot.image.shape[1]}x{shot.image.shape[0]}"
            stamps_ns.append(shot.captured_ns)
            ages_ms.append((time.monotonic_ns() - shot.captured_ns) / NS_PER_MS)
    gaps_ms = np.diff(stamps_ns) / NS_PER_MS
    return {
        "open_s": round(opened_s, 2),
        "first_frame_s": round(first_s, 2),
        "size": shape,
        "frames_per_s": round(1000 / float(gaps_ms.mean()), 1) if len(gaps_ms) else None,
        "gap_ms_p50": round(float(np.median(gaps_ms)), 1) if len(gaps_ms) else None,
        "gap_ms_most": round(float(gaps_ms.max()), 1) if len(gaps_ms) else None,
        "age_ms_p50": round(float(np.median(ages_ms)), 1) if ages_ms else None,
        "undecoded": undecoded,
    }
