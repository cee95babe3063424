"""Cameras: the configured ones opened as the daemon opens them, and every V4L2 driver in every mode."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from edged.capture.make_camera import make_camera
from edged.capture.sources.v4l2_buffers import (
    FOURCC_CODES,
    MEMORY_CODES,
    BufferMemory,
    RawStream,
    UnsupportedMode,
    WantedStream,
)
from edged.capture.sources.v4l2_device import query
from edged.config.tables.camera import CameraConfig
from edged.errors import CameraLost, EdgedError
from edged.frame import PixelFormat
from edged.hardware_report.probe import Bench, ReportRow, Value, failed, not_possible
from edged.units import MS_PER_S, NS_PER_MS

MAX_MODE_S = 5.0  # per mode of a V4L2 driver
STALL_TIMEOUT_S = 5.0


def cameras(bench: Bench) -> Iterator[ReportRow]:
    """One row per configured camera."""
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
            captured = stream.read(None)
            if first_s is None:
                first_s = time.monotonic() - begun_s
            if not captured.image.size:
                undecoded += 1
                continue
            shape = f"{captured.image.shape[1]}x{captured.image.shape[0]}"
            stamps_ns.append(captured.captured_ns)
            ages_ms.append((time.monotonic_ns() - captured.captured_ns) / NS_PER_MS)
    gaps_ms = np.diff(stamps_ns) / NS_PER_MS
    return {
        "open_s": round(opened_s, 2),
        "first_frame_s": round(first_s, 2),
        "size": shape,
        "frames_per_s": _rate(stamps_ns),
        "gap_ms_p50": round(float(np.median(gaps_ms)), 1) if len(gaps_ms) else None,
        "gap_ms_max": round(float(gaps_ms.max()), 1) if len(gaps_ms) else None,
        "age_ms_p50": round(float(np.median(ages_ms)), 1) if ages_ms else None,
        "undecoded": undecoded,
    }


def v4l2_modes(bench: Bench) -> Iterator[ReportRow]:
    """One row per capture device, pixel format that the backends read, and memory."""
    found = False
    for node in sorted(Path("/dev").glob("video[0-9]*")):
        try:
            card = query(node).card
        except CameraLost:  # a metadata node, or no permission
            continue
        found = True
        for pixel_format in FOURCC_CODES:
            for memory in MEMORY_CODES:
                yield try_mode(node, card, pixel_format, memory, min(bench.seconds, MAX_MODE_S))
    if not found:
        yield not_possible("V4L2 cameras", "no /dev/video that captures and may be opened")


def try_mode(node: Path, card: str, pixel_format: PixelFormat, memory: BufferMemory, seconds: float) -> ReportRow:
    """Stream from a device in one mode for some seconds."""
    subject = f"{node} ({card}), {pixel_format}, {memory}"
    wanted = WantedStream(pixel_format=pixel_format, size_wh=None, fps_hz=0, stall_s=STALL_TIMEOUT_S)
    try:
        with closing(RawStream(node, wanted, memory, lambda error: CameraLost(str(error)))) as stream:
            return ReportRow(subject=subject, figures=_measure_stream(stream, seconds))
    except UnsupportedMode as why:
        return not_possible(subject, str(why))
    except CameraLost as lost:
        return failed(subject, str(lost))


def _measure_stream(stream: RawStream, seconds: float) -> dict[str, Value]:
    stamps_ns: list[int] = []
    swapped = empty = 0
    begun_s = time.monotonic()
    while time.monotonic() - begun_s < seconds or not stamps_ns:
        captured = stream.read(None)
        stamps_ns.append(captured.captured_ns)
        swapped += captured.swapped
        empty += not captured.image.any()
    return {
        "size": "{}x{}".format(*stream.size_wh),
        "granted_hz": round(stream.fps_hz, 1),
        "frames_per_s": _rate(stamps_ns),
        "in_our_memory": swapped,
        "copied": len(stamps_ns) - swapped,
        "empty": empty,
    }


def _rate(stamps_ns: Sequence[int]) -> float | None:
    """Frames per second; None for fewer than two frames."""
    gaps_ms = np.diff(stamps_ns) / NS_PER_MS
    return round(MS_PER_S / float(gaps_ms.mean()), 1) if len(gaps_ms) else None
