"""Whether a V4L2 driver streams into memory of ours (USERPTR), or only into its own (MMAP), and at which rate."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np

from edged.capture.sources.v4l2_buffers import (
    FOURCC_CODES,
    MEMORY_CODES,
    BufferMemory,
    RawStream,
    UnsupportedMode,
    WantedStream,
)
from edged.capture.sources.v4l2_device import query
from edged.errors import CameraLost
from edged.frame import PixelFormat
from edged.hardware_report.probe import Bench, ReportRow, Value, failed, not_possible
from edged.units import NS_PER_MS

MAX_MODE_S = 5.0  # of one combination
STALL_TIMEOUT_S = 5.0


def v4l2_modes(bench: Bench) -> Iterator[ReportRow]:
    """Every device that captures, in every format that planes read."""
    found = False
    for node in sorted(Path("/dev").glob("video[0-9]*")):
        try:
            card = query(node).card
        except CameraLost:  # a metadata node, or not ours
            continue
        found = True
        for form in FOURCC_CODES:
            for memory in MEMORY_CODES:
                yield try_mode(node, card, form, memory, min(bench.seconds, MAX_MODE_S))
    if not found:
        yield not_possible("V4L2 cameras", "no /dev/video that captures and may be opened")


def try_mode(node: Path, card: str, form: PixelFormat, memory: BufferMemory, seconds: float) -> ReportRow:
    subject = f"{node} ({card}), {form}, {memory}"
    asked = WantedStream(pixel_format=form, size_wh=None, fps_hz=0, stall_s=STALL_TIMEOUT_S)
    try:
        with closing(RawStream(node, asked, memory, lambda refusal: CameraLost(str(refusal)))) as stream:
            return ReportRow(subject=subject, figures=_measure_stream(stream, seconds))
    except UnsupportedMode as why:
        return not_possible(subject, str(why))
    except CameraLost as lost:
        return failed(subject, str(lost))


def _measure_stream(stream: RawStream, seconds: float) -> dict[str, Value]:
    stamps_ns: list[int] = []
    traded = empty = 0
    begun_s = time.monotonic()
    while time.monotonic() - begun_s < seconds or not stamps_ns:
        shot = stream.read(None)
        stamps_ns.append(shot.captured_ns)
        traded += shot.swapped
        empty += not shot.image.any()
    gaps_ms = np.diff(stamps_ns) / NS_PER_MS
    return {
        "size": "{}x{}".format(*stream.size_wh),
        "rate_told_hz": round(stream.fps_hz, 1),
        "frames_per_s": round(1000 / float(gaps_ms.mean()), 1) if len(gaps_ms) else None,
        "in_our_memory": traded,
        "copied": len(stamps_ns) - traded,
        "empty": empty,
    }
