"""Two seconds of a camera, measured: what it sends, and what to change on it. For `edged doctor`."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass

from edged.capture.camera import MAX_UNDECODABLE, Camera, StreamFacts
from edged.errors import CameraLost, EndOfSource
from edged.frame import image_size
from edged.units import NS_PER_S, ns

LOOK_S = 2.0  # how long a camera is watched
LONG_KEY_INTERVAL_S = 4.0  # after a loss, pictures are damaged for as long; and so is the wait for the first one
LOW_RATE_SHARE = 0.8  # of the rate asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraLook:
    """What a camera sent in LOOK_S."""

    size_wh: tuple[int, int]  # of the newest image
    opened_s: float  # until the first frame
    rate_hz: float | None  # None: it ended after one frame
    frames: int
    bad: int  # of these damaged, or not decodable
    facts: StreamFacts | None  # None: a device or an image, which has no codec

    def __str__(self) -> str:
        """What it sends, in one line."""
        width, height = self.size_wh
        parts = [f"{width} x {height} px after {self.opened_s:.1f} s"]
        parts += [] if self.rate_hz is None else [f"{self.rate_hz:.1f} frames/s"]
        if (facts := self.facts) is not None:
            parts.append(facts.codec)
            if facts.inter_coded:
                between = "over 2" if facts.key_interval_s is None else f"{facts.key_interval_s:.1f}"
                parts.append(f"{between} s between key frames")
            parts += ["interlaced"] if facts.interlaced else []
            parts += [f"pixels {facts.pixel_aspect:.3g} : 1, made square"] if facts.pixel_aspect != 1 else []
        parts += [f"{self.bad} of {self.frames} frames damaged"] if self.bad else []
        return ", ".join(parts)

    def advice(self, asked_hz: float) -> str:
        """What to change on the camera; empty when nothing. `asked_hz`: the configured rate, 0 for none."""
        facts, todo = self.facts, []
        if facts is not None and facts.inter_coded and (facts.key_interval_s or self.opened_s) > LONG_KEY_INTERVAL_S:
            todo.append("shorten its I-frame interval to 1 or 2 s, and turn off H.264+ and the like")
        if facts is not None and facts.interlaced:
            todo.append("set it to progressive: deinterlacing costs time and half of the detail")
        if facts is not None and facts.pixel_aspect != 1:
            todo.append("choose a resolution with square pixels")
        if self.bad:
            todo.append("check its network, or lower its bit rate")
        if asked_hz and self.rate_hz is not None and self.rate_hz < LOW_RATE_SHARE * asked_hz:
            todo.append(f"it sends fewer than the {asked_hz:g} frames/s of fps; raise its rate, or give it more light")
        return "; ".join(todo)


def look(camera: Camera, seconds: float = LOOK_S) -> CameraLook:
    """What the camera sends in `seconds` from its first frame. Raises CameraLost without one that can be decoded."""
    begun_ns = opened_ns = time.monotonic_ns()
    sizes: list[tuple[int, int]] = []
    times_ns: list[int] = []
    bad = 0
    with closing(camera.open()) as stream:
        try:
            while not times_ns or times_ns[-1] - times_ns[0] < ns(seconds):
                captured = stream.read(None)
                bad += captured.damaged or not captured.image.size
                if captured.image.size:
                    sizes.append(image_size(captured.image, captured.pixel_format))
                    opened_ns = opened_ns if times_ns else time.monotonic_ns()
                    times_ns.append(captured.captured_ns if captured.recorded_ns is None else captured.recorded_ns)
                elif not sizes and bad >= MAX_UNDECODABLE:
                    raise CameraLost(f"none of {MAX_UNDECODABLE} frames could be decoded", "undecodable")
        except EndOfSource:
            if not sizes:
                raise
        facts: StreamFacts | None = getattr(stream, "facts", None)
    whole_ns = times_ns[-1] - times_ns[0]
    return CameraLook(
        size_wh=sizes[-1],
        opened_s=(opened_ns - begun_ns) / NS_PER_S,
        rate_hz=(len(times_ns) - 1) * NS_PER_S / whole_ns if whole_ns else None,
        frames=len(times_ns),
        bad=bad,
        facts=facts,
    )
