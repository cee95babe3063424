"""One camera over the last ten minutes: how much was believed, found, and kept its identity.

Upstream: every result, from the loop. Downstream: health, from another thread. Fixed memory, a few µs per frame.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import monotonic_ns

from edged.frame import F32, FrameResult, TrackedSubject
from edged.units import NS_PER_S, S_PER_MIN, ns
from engines.arrays import box_iou

MINUTES = 10
GONE_AFTER_NS = ns(2)  # a subject unseen for so long has gone; its successor in time may be itself again
SWITCH_MIN_IOU = 0.3  # overlap of the box it left with the box of a new id that makes that a switch
HOUR_NS = ns(3600)
MAX_EVENTS = 3600
MAX_ENDED_TRACKS = 256  # ended tracks remembered


@dataclass(slots=True)
class MinuteCounts:
    """Counts of one minute."""

    number: int
    frames: int = 0
    degraded: int = 0
    detections: int = 0
    score: float = 0.0
    new: int = 0
    switches: int = 0


@dataclass(slots=True)
class TrackLife:
    """A track: where it was last, and since when."""

    label: str
    xyxy: F32  # (4,) px
    first_ns: int
    last_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrendFigures:
    """The last ten minutes, or as long as there were."""

    degraded_share: float | None
    detections_per_min: float
    confidence: float | None
    alive: int
    new_per_min: float
    median_s: float | None
    switches: int


class CameraTrend:
    def __init__(self, clock: Callable[[], int] = monotonic_ns) -> None:
        self._clock = clock
        self._start_ns = clock()
        self._lock = threading.Lock()
        self._minutes: deque[MinuteCounts] = deque(maxlen=MINUTES + 1)
        self._alive: dict[int, TrackLife] = {}
        self._ended: deque[tuple[int, float]] = deque(maxlen=MAX_ENDED_TRACKS)  # when, and its seconds

    def record(self, result: FrameResult) -> None:
        with self._lock:
            minute = self._minute(result.done_ns)
            minute.frames += 1
            minute.degraded += bool(result.quality.degraded)
            found = [subject for subject in result.subjects if subject.box_source == "detected"]
            minute.detections += len(found)
            minute.score += sum(subject.score for subject in found)
            self._update_tracks(result.subjects, result.done_ns, minute)
            self._end_tracks(result.done_ns)

    def read(self) -> TrendFigures:
        with self._lock:
            now_ns = self._clock()
            number = now_ns // ns(S_PER_MIN)
            recent = [minute for minute in self._minutes if minute.number > number - MINUTES]
            frames, found = sum(m.frames for m in recent), sum(m.detections for m in recent)
            passed_min = max(1 / S_PER_MIN, min(MINUTES, (now_ns - self._start_ns) / ns(S_PER_MIN)))
            lives = [seconds for at_ns, seconds in self._ended if now_ns - at_ns <= ns(MINUTES * S_PER_MIN)]
            return TrendFigures(
                degraded_share=sum(m.degraded for m in recent) / frames if frames else None,
                detections_per_min=found / passed_min,
                confidence=sum(m.score for m in recent) / found if found else None,
                alive=sum(now_ns - life.last_ns <= GONE_AFTER_NS for life in self._alive.values()),
                new_per_min=sum(m.new for m in recent) / passed_min,
                median_s=median(lives) if lives else None,
                switches=sum(m.switches for m in recent),
            )

    def _minute(self, now_ns: int) -> MinuteCounts:
        number = now_ns // ns(S_PER_MIN)
        if not self._minutes or self._minutes[-1].number < number:
            self._minutes.append(MinuteCounts(number))
        return self._minutes[-1]

    def _update_tracks(self, subjects: tuple[TrackedSubject, ...], now_ns: int, minute: MinuteCounts) -> None:
        born = [subject for subject in subjects if subject.id not in self._alive]
        for subject in subjects:
            if life := self._alive.get(subject.id):
                life.label, life.xyxy, life.last_ns = subject.label, subject.xyxy, now_ns
        for subject in born:
            minute.new += 1
            minute.switches += any(_is_switch(life, subject, now_ns) for life in self._alive.values())
            self._alive[subject.id] = TrackLife(subject.label, subject.xyxy, now_ns, now_ns)

    def _end_tracks(self, now_ns: int) -> None:
        for track in [track for track, life in self._alive.items() if now_ns - life.last_ns > GONE_AFTER_NS]:
            life = self._alive.pop(track)
            self._ended.append((now_ns, (life.last_ns - life.first_ns) / NS_PER_S))


class Outages:
    """How often a camera was lost, and came back, in the last hour. `note` from capture threads."""

    def __init__(self, clock: Callable[[], int] = monotonic_ns) -> None:
        self._clock = clock
        self._phase = "connecting"
        self._offline = False
        self._losses: deque[int] = deque(maxlen=MAX_EVENTS)
        self._reconnects: deque[int] = deque(maxlen=MAX_EVENTS)

    def record(self, phase: str) -> None:
        before, self._phase = self._phase, phase
        if phase == "lost" != before:
            self._losses.append(self._clock())
            self._offline = True
        elif phase == "online" and self._offline:
            self._reconnects.append(self._clock())
            self._offline = False

    @property
    def losses(self) -> int:
        return self._in_last_hour(self._losses)

    @property
    def reconnects(self) -> int:
        return self._in_last_hour(self._reconnects)

    def _in_last_hour(self, instants: deque[int]) -> int:
        since_ns = self._clock() - HOUR_NS
        return sum(at_ns >= since_ns for at_ns in tuple(instants))


def _is_switch(life: TrackLife, subject: TrackedSubject, now_ns: int) -> bool:
    """Whether a new subject is likely this one, which has just vanished."""
    return (
        life.last_ns < now_ns
        and life.label == subject.label
        and float(box_iou(life.xyxy[None], subject.xyxy[None])[0, 0]) >= SWITCH_MIN_IOU
    )
