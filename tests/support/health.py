"""Health of this machine, and the figures of one camera."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edged.capture.camera import CameraState
from edged.capture.frame_buffer import FrameCounts
from edged.device.health import CameraOverview, Health
from edged.device.rates import CameraRates, TimePercentiles
from edged.device.trends import CameraTrend

SPREAD = TimePercentiles(p50_ms=10.04, p95_ms=20, p99_ms=30, max_ms=40)


def view(latency: TimePercentiles | None = None, **changes: Any) -> CameraOverview:
    reading = {"in_hz": 30.004, "processed_hz": 15.0, "dropped_hz": 15.0, "mean_processed_hz": 14.0, "subjects": 2}
    return CameraOverview(
        state=CameraState(camera="a", phase="online", reason="", since_ns=0, size_wh=(640, 480)),
        counts=FrameCounts(captured=9, processed=5, dropped=3, failed=0, waiting=1),
        rates=CameraRates(latency=latency, stages={"pose": SPREAD}, **(reading | changes)),
        trend=CameraTrend().read(),
        latest=None,
        losses_per_h=2,
        reconnects_per_h=1,
    )


def utc(monotonic_ns: int) -> int:
    return monotonic_ns // 1_000_000


def health(disk: Path, *, synced: bool = True) -> Health:
    return Health(disk, utc, lambda: synced)
