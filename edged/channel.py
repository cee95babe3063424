"""One camera: its state, its back-off, its ring, and the one reader thread that may write into the ring.

Upstream the `Camera` port, downstream `capture.py`, whose condition guards everything here. A camera is
stalled when our own clock says so; its thread, if it hangs in a driver, is left behind.
"""

from __future__ import annotations

import logging
import random
import threading
from collections import deque
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edged import config
from edged.errors import CameraLost, EndOfSource
from edged.frame import U8, size_of
from edged.ports import Camera, Shot
from edged.ring import Ring
from edged.units import NS_PER_S, ns

log = logging.getLogger(__name__)

FIRST_WAIT_S = 0.5  # before the first re-open; doubles from there
STABLE_FRAMES = 30  # in a row, before the waits start small again
LEFT_BEHIND = 4  # hanging threads per camera before no more are started
HANDOVER_S = 1.0  # a new reader lets the old one close the device first

Phase = Literal["connecting", "online", "lost", "ended"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraState:
    """Where a camera stands. While lost, `reason` is the latest one."""

    camera: str
    phase: Phase
    reason: str  # empty when connecting
    since_ns: int  # CLOCK_MONOTONIC


class Backoff:
    """Doubling waits, jittered to between half and all, so that cameras on one switch do not come in step."""

    def __init__(self, most_s: float, jitter: Callable[[], float] = random.random) -> None:
        self._most_s = most_s
        self._jitter = jitter
        self.reset()

    def reset(self) -> None:
        self._step_s = min(FIRST_WAIT_S, self._most_s)

    def next_s(self) -> float:
        wait_s = self._step_s * (0.5 + 0.5 * self._jitter())
        self._step_s = min(2 * self._step_s, self._most_s)
        return wait_s


class Desk:
    """What all channels share: the condition, the clock, and the news, told in order and outside the lock."""

    def __init__(self, on_state: Callable[[CameraState], None], clock: Callable[[], int]) -> None:
        self.changed = threading.Condition()
        self.clock = clock
        self._on_state = on_state
        self._news: deque[tuple[CameraState, int, str]] = deque()
        self._telling = threading.RLock()

    def note(self, state: CameraState, level: int, text: str) -> None:
        self._news.append((state, level, text))

    def forget(self, camera: str) -> None:
        """Once it returns, nothing is told of this camera that was noted before. Without the lock."""
        with self._telling, self.changed:
            self._news = deque(news for news in self._news if news[0].camera != camera)

    def tell(self) -> None:
        with self._telling:
            while self._news:
                state, level, text = self._news.popleft()
                log.log(level, "camera %s: %s", state.camera, text)
                self._on_state(state)


class Channel:
    """One camera: its ring, its state, and the one reader that may write into the ring."""

    def __init__(self, name: str, settings: config.Camera, camera: Camera, desk: Desk, *, retry: bool) -> None:
        self.name = name
        self.camera = camera
        self.desk = desk
        self.ring = Ring(name)
        self.patient = _patient(settings)
        self.state = CameraState(camera=name, phase="connecting", reason="", since_ns=desk.clock())
        self.settings = settings
        self._retry = retry
        self._backoff = Backoff(settings.retry_max_s)
        self._reader: Reader | None = None
        self._left_behind: list[Reader] = []
        self._good = 0  # frames in a row
        self._source: str | None = None  # of the last frame
        self._size_wh: tuple[int, int] | None = None
        self._lost_ns: int | None = None
        self._reasons: set[str] = set()  # of this outage, each logged once
        self._last_words = ""  # in this outage, of a reader that was left behind

    def start(self, delay_s: float = 0.0) -> None:
        """Put a new reader in the place of the present one. Called with the lock held, as all below."""
        before = self.retire()
        self._reader = Reader(self, delay_s, before)
        self._reader.start()

    def retire(self) -> Reader | None:
        """Take the ring away from the present reader, and tell it to end."""
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.retired.set()
            self._left_behind.append(reader)
        return reader

    def change(self, settings: config.Camera, camera: Camera) -> None:
        """Another camera under this name, or the same opened in another way. The ledger goes on."""
        self.camera, self.settings = camera, settings
        self.patient = _patient(settings)
        self._backoff = Backoff(settings.retry_max_s)
        self.ring.drop()
        self.restart()

    def restart(self) -> None:
        self._backoff.reset()
        self._become("connecting", "", logging.INFO, "connecting again, as asked")
        self.start()

    def owns(self, reader: Reader) -> bool:
        return reader is self._reader

    @property
    def over(self) -> bool:
        """No frame will come any more, and none is waiting."""
        final = self.state.phase == "ended" or (self.state.phase == "lost" and not self._retry)
        return final and self.ring.empty

    def progress(self, shot: Shot) -> None:
        """Book a good frame: the camera is, or is again, online."""
        size_wh = size_of(shot.image, shot.form)
        self._good += 1
        if self._good == STABLE_FRAMES:
            self._backoff.reset()
        if self.state.phase != "online":
            self._return(size_wh)
        elif size_wh != self._size_wh and shot.source == self._source:
            log.warning("camera %s: images are %dx%d from now on", self.name, *size_wh)
        self._size_wh, self._source = size_wh, shot.source

    def end(self, reason: str) -> None:
        self._become("ended", reason, logging.INFO, f"ended: {reason}")

    def lose(self, reason: str) -> float | None:
        """Note the loss; return how long to wait before the next try, None for never."""
        self._good = 0
        if self.state.phase != "lost":
            self._lost_ns = self.desk.clock()
            self._reasons = set()
            level = logging.WARNING
        else:
            level = logging.DEBUG if reason in self._reasons else logging.INFO
        self._reasons.add(reason)
        self._become("lost", reason, level, f"lost: {reason}")
        return self._backoff.next_s() if self._retry else None

    def hear(self, last_words: str) -> None:
        """What a reader that was left behind met in the end: it knows more than our clock did."""
        if self.state.phase == "lost":
            self._last_words = last_words

    def watch(self, now_ns: int) -> None:
        """Leave a reader behind that is overdue; start one again when hanging ones have woken."""
        self._left_behind = [reader for reader in self._left_behind if reader.is_alive()]
        reader = self._reader
        if reader is None:
            self._replace(0.0)
        elif reader.busy_since_ns is not None:
            online = self.state.phase == "online"
            limit_s = self.settings.stall_timeout_s if online else self.settings.open_timeout_s
            if now_ns - reader.busy_since_ns > ns(limit_s):
                self._leave_behind(f"no {'' if online else 'first '}frame for {limit_s:g} s")

    def _leave_behind(self, reason: str) -> None:
        self.retire()
        reason += self._last_words and f"; the try before: {self._last_words}"
        if len(self._left_behind) >= LEFT_BEHIND:
            reason += f"; {LEFT_BEHIND} readers hang in its driver, the next starts when one returns"
        self._replace(self.lose(reason))

    def _replace(self, delay_s: float | None) -> None:
        if self._retry and delay_s is not None and len(self._left_behind) < LEFT_BEHIND:
            self.start(delay_s)

    def _return(self, size_wh: tuple[int, int]) -> None:
        away = "" if self._lost_ns is None else f" again after {self._away_s():.1f} s"
        self._lost_ns, self._last_words = None, ""
        size = "{}x{}".format(*size_wh)
        self._become("online", size, logging.INFO, f"online{away}, {size}")

    def _away_s(self) -> float:
        return (self.desk.clock() - (self._lost_ns or 0)) / NS_PER_S

    def _become(self, phase: Phase, reason: str, level: int, text: str) -> None:
        if (phase, reason) == (self.state.phase, self.state.reason):
            return
        self.state = CameraState(camera=self.name, phase=phase, reason=reason, since_ns=self.desk.clock())
        self.desk.note(self.state, level, text)
        self.desk.changed.notify_all()


def _patient(settings: config.Camera) -> bool:
    """Whether the source waits until its last frame was taken."""
    return settings.kind == "files" and not settings.realtime


class Reader(threading.Thread):
    """Opens one camera again and again and reads it, until retired. Writes only while its channel owns it."""

    def __init__(self, channel: Channel, delay_s: float, before: Reader | None) -> None:
        super().__init__(name=f"capture-{channel.name}", daemon=True)
        self.retired = threading.Event()
        self.busy_since_ns: int | None = None  # set while the library may hang, and no frame has come since
        self._channel = channel
        self._desk = channel.desk
        self._delay_s: float | None = delay_s
        self._before = before

    def run(self) -> None:
        if self._before is not None:
            self._before.join(HANDOVER_S)
            self._before = None
        while self._delay_s is not None and not self.retired.wait(self._delay_s):
            self._try()
            self._desk.tell()

    def _try(self) -> None:
        outcome: Callable[[str], float | None] = self._channel.lose
        reason = ""
        try:
            self._read_all()
        except EndOfSource as end:
            outcome, reason = self._channel.end, str(end)
        except CameraLost as lost:
            reason = str(lost)
        except Exception as bug:  # this thread's outermost supervisor: the other cameras go on
            log.exception("camera %s: the adapter has a bug", self._channel.name)
            reason = f"{type(bug).__name__}: {bug}"
        with self._desk.changed:
            self.busy_since_ns = None
            owner = self._channel.owns(self)
            self._delay_s = outcome(reason) if owner else None
            if not owner and outcome == self._channel.lose:
                self._channel.hear(reason)

    def _read_all(self) -> None:
        with self._desk.changed:
            self.busy_since_ns = self._desk.clock()
        with closing(self._channel.camera.open()) as stream:
            while not self.retired.is_set():
                blank = self._claim()
                self._deliver(stream.read(blank), blank)
                self._desk.tell()

    def _claim(self, shape: tuple[int, ...] | None = None) -> U8 | None:
        """A slot to write into, of a new shape if given; None when there is none for us."""
        with self._desk.changed:
            if not self._channel.owns(self):
                return None
            return self._channel.ring.blank() if shape is None else self._channel.ring.remake(shape)

    def _deliver(self, shot: Shot, blank: U8 | None) -> None:
        if shot.image.size == 0:
            self._fail(shot, blank)
            return
        image = self._adopted(shot.image) if shot.traded else self._slot(shot.image, blank)
        self._hold(shot)
        with self._desk.changed:
            if image is not None and self._channel.owns(self):
                self.busy_since_ns = self._desk.clock()
                self._channel.progress(shot)
                self._channel.ring.put(image, shot)
                self._desk.changed.notify_all()

    def _adopted(self, image: U8) -> U8 | None:
        """An image in memory that the stream gave for ours; None when it is not for us any more."""
        with self._desk.changed:
            if not self._channel.owns(self):
                return None
            self._channel.ring.adopt(image.shape)
        return image

    def _slot(self, image: U8, blank: U8 | None) -> U8 | None:
        """The image in a slot of the ring, copied there unless it was read there."""
        if image is blank:
            return image
        if blank is None or blank.shape != image.shape:
            blank = self._claim(image.shape)
        if blank is not None:
            np.copyto(blank, image)
        return blank

    def _hold(self, shot: Shot) -> None:
        """Wait until a recorded frame is due and, in a patient channel, until there is room for it."""
        early_ns = shot.captured_ns - self._desk.clock()
        if early_ns > 0:
            self.busy_since_ns = None
            self.retired.wait(early_ns / NS_PER_S)
        if self._channel.patient:
            with self._desk.changed:
                self.busy_since_ns = None
                self._desk.changed.wait_for(lambda: self.retired.is_set() or not self._channel.ring.full)

    def _fail(self, shot: Shot, blank: U8 | None) -> None:
        with self._desk.changed:
            if self._channel.owns(self):
                self._channel.ring.fail(blank)
                if shot.source is not None:  # a bad file is progress; a live camera owes good frames
                    self.busy_since_ns = self._desk.clock()
