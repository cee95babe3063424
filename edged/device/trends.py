"""One camera over the last ten minutes: degraded frames, detections, how long tracks keep their ids.

Upstream: every result, from the loop. Downstream: `health`, from another thread. Fixed memory, a few µs per frame.
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

MINUTES = 10  # that the figures in `health` are of
GONE_AFTER_NS = ns(2)  # a track without a box for this long has ended
SWITCH_MIN_IOU = 0.3  # of its last box with the first box of a new id: they are the same subject
HOUR_NS = ns(3600)
MAX_EVENTS = 3600  # outages remembered
MAX_ENDED_TRACKS = 256


@dataclass(slots=True)
class MinuteCounts:
    """Counts of one minute."""

    number: int  # of the minute, by CLOCK_MONOTONIC
    frames: int = 0
    degraded: int = 0
    detections: int = 0
    score: float = 0.0  # sum over the detections
    new: int = 0  # ids
    switches: int = 0


@dataclass(slots=True)
class TrackLife:
    """The last box of a track, and its time span."""

    label: str
    xyxy: F32  # (4,) px
    first_ns: int
    last_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrendFigures:
    """The last ten minutes, or the time since the start. None: there was nothing to measure."""

    degraded_share: float | None  # of the frames
    detections_per_min: float
    confidence: float | None  # mean score of the detections
    alive: int  # tracks
    new_per_min: float  # ids
    median_s: float | None  # of the life of tracks that ended
    switches: int  # new ids at the place of a track that had just ended


class CameraTrend:
    """`record` from the loop, `read` from any thread."""

    def __init__(self, clock: Callable[[], int] = monotonic_ns) -> None:
        self._clock = clock
        self._start_ns = clock()
        self._lock = threading.Lock()
        self._minutes: deque[MinuteCounts] = deque(maxlen=MINUTES + 1)
        self._alive: dict[int, TrackLife] = {}
        self._ended: deque[tuple[int, float]] = deque(maxlen=MAX_ENDED_TRACKS)  # end in ns, life in s

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
        """The figures of the last MINUTES."""
        with self._lock:
            now_ns = self._clock()
            number = now_ns // ns(S_PER_MIN)
            recent = [minute for minute in self._minutes if minute.number > number - MINUTES]
            frames, found = sum(m.frames for m in recent), sum(m.detections for m in recent)
            elapsed_min = max(1 / S_PER_MIN, min(MINUTES, (now_ns - self._start_ns) / ns(S_PER_MIN)))
            lives_s = [seconds for at_ns, seconds in self._ended if now_ns - at_ns <= ns(MINUTES * S_PER_MIN)]
            return TrendFigures(
                degraded_share=sum(m.degraded for m in recent) / frames if frames else None,
                detections_per_min=found / elapsed_min,
                confidence=sum(m.score for m in recent) / found if found else None,
                alive=sum(now_ns - life.last_ns <= GONE_AFTER_NS for life in self._alive.values()),
                new_per_min=sum(m.new for m in recent) / elapsed_min,
                median_s=median(lives_s) if lives_s else None,
                switches=sum(m.switches for m in recent),
            )

    def _minute(self, now_ns: int) -> MinuteCounts:
        number = now_ns // ns(S_PER_MIN)
        if not self._minutes or self._minutes[-1].number < number:
            self._minutes.append(MinuteCounts(number))
        return self._minutes[-1]

    def _update_tracks(self, subjects: tuple[TrackedSubject, ...], now_ns: int, minute: MinuteCounts) -> None:
        new = [subject for subject in subjects if subject.id not in self._alive]
        for subject in subjects:
            if life := self._alive.get(subject.id):
                life.label, life.xyxy, life.last_ns = subject.label, subject.xyxy, now_ns
        for subject in new:
            minute.new += 1
            minute.switches += any(_is_switch(life, subject, now_ns) for life in self._alive.values())
            self._alive[subject.id] = TrackLife(subject.label, subject.xyxy, now_ns, now_ns)

    def _end_tracks(self, now_ns: int) -> None:
        for track_id in [track_id for track_id, life in self._alive.items() if now_ns - life.last_ns > GONE_AFTER_NS]:
            life = self._alive.pop(track_id)
            self._ended.append((now_ns, (life.last_ns - life.first_ns) / NS_PER_S))


class Outages:
    """How often a camera went offline and came online again in the last hour. `record` from capture threads."""

    def __init__(self, clock: Callable[[], int] = monotonic_ns) -> None:
        self._clock = clock
        self._phase = "connecting"
        self._offline = False
        self._losses: deque[int] = deque(maxlen=MAX_EVENTS)
        self._reconnects: deque[int] = deque(maxlen=MAX_EVENTS)

    def record(self, phase: str) -> None:
        changed, self._phase = phase != self._phase, phase
        if phase == "lost" and changed:
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
    """Whether a new subject is likely the one of this track, which has just ended."""
    return (
        life.last_ns < now_ns
        and life.label == subject.label
        and float(box_iou(life.xyxy[None], subject.xyxy[None])[0, 0]) >= SWITCH_MIN_IOU
    )
