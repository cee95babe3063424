"""Whether a V4L2 driver streams into memory of ours (USERPTR), or only into its own (MMAP), and at which rate."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np

from edged.adapters.prove.probe import Bench, Row, Value, failed, impossible
from edged.adapters.v4l2_device import query
from edged.adapters.v4l2_stream import CODES, MEMORIES, Asked, Memory, RawStream, Unfit
from edged.errors import CameraLost
from edged.frame import Format
from edged.units import NS_PER_MS

LONGEST_S = 5.0  # of one combination
SILENT_S = 5.0


def modes(bench: Bench) -> Iterator[Row]:
    """Every device that captures, in every format that planes read."""
    found = False
    for node in sorted(Path("/dev").glob("video[0-9]*")):
        try:
            card = query(node).card
        except CameraLost:  # a metadata node, or not ours
            continue
        found = True
        for form in CODES:
            for memory in MEMORIES:
                yield tried(node, card, form, memory, min(bench.seconds, LONGEST_S))
    if not found:
        yield impossible("V4L2 cameras", "no /dev/video that captures and may be opened")


def tried(node: Path, card: str, form: Format, memory: Memory, seconds: float) -> Row:
    subject = f"{node} ({card}), {form}, {memory}"
    asked = Asked(form=form, size_wh=None, fps_hz=0, stall_s=SILENT_S)
    try:
        with closing(RawStream(node, asked, memory, lambda refusal: CameraLost(str(refusal)))) as stream:
            return Row(subject=subject, figures=_streamed(stream, seconds))
    except Unfit as why:
        return impossible(subject, str(why))
    except CameraLost as lost:
        return failed(subject, str(lost))


def _streamed(stream: RawStream, seconds: float) -> dict[str, Value]:
    stamps_ns: list[int] = []
    traded = empty = 0
    begun_s = time.monotonic()
    while time.monotonic() - begun_s < seconds or not stamps_ns:
        shot = stream.read(None)
        stamps_ns.append(shot.captured_ns)
        traded += shot.traded
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
