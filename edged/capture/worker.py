"""One camera: its state, its back-off, its ring, and the one reader thread that may write into the ring.

Upstream the `Camera` port, downstream `capture.py`, whose condition guards everything here. A camera is
stalled when our own clock says so; its thread, if it hangs in a driver, is left behind.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edged.capture.camera import Camera, CapturedImage
from edged.capture.frame_buffer import FrameBuffer
from edged.config.tables.camera import CameraConfig
from edged.errors import CameraLost, EndOfSource
from edged.frame import U8, image_size
from edged.runtime.backoff import Backoff
from edged.runtime.threads import SupervisedThread
from edged.units import NS_PER_S, ns

log = logging.getLogger(__name__)

STABLE_FRAMES = 30  # in a row, before the waits start small again
MAX_ABANDONED = 4  # hanging threads per camera before no more are started
HANDOVER_TIMEOUT_S = 1.0  # a new reader lets the old one close the device first

CameraPhase = Literal["connecting", "online", "lost", "ended"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraState:
    """Where a camera stands. While lost, `reason` is the latest one."""

    camera: str
    phase: CameraPhase
    reason: str  # empty when connecting
    since_ns: int  # CLOCK_MONOTONIC


class CaptureShared:
    """What all channels share: the condition, the clock, and the news, told in order and outside the lock."""

    def __init__(self, on_state: Callable[[CameraState], None], clock: Callable[[], int]) -> None:
        self.condition = threading.Condition()
        self.clock = clock
        self._on_state = on_state
        self._events: deque[tuple[CameraState, int, str]] = deque()
        self._emit_lock = threading.RLock()

    def queue_event(self, state: CameraState, level: int, text: str) -> None:
        self._events.append((state, level, text))

    def drop_events(self, camera: str) -> None:
        """Once it returns, nothing is told of this camera that was noted before. Without the lock."""
        with self._emit_lock, self.condition:
            self._events = deque(news for news in self._events if news[0].camera != camera)

    def emit_events(self) -> None:
        with self._emit_lock:
            while self._events:
                state, level, text = self._events.popleft()
                log.log(level, "camera %s: %s", state.camera, text)
                self._on_state(state)


class CameraWorker:
    """One camera: its ring, its state, and the one reader that may write into the ring."""

    def __init__(
        self, name: str, settings: CameraConfig, camera: Camera, shared: CaptureShared, *, retry: bool
    ) -> None:
        self.name = name
        self.camera = camera
        self.shared = shared
        self.buffer = FrameBuffer(name)
        self.lossless = _is_lossless(settings)
        self.state = CameraState(camera=name, phase="connecting", reason="", since_ns=shared.clock())
        self.settings = settings
        self._retry = retry
        self._backoff = Backoff(settings.retry_max_s)
        self._thread: CaptureThread | None = None
        self._abandoned: list[CaptureThread] = []
        self._consecutive_frames = 0  # frames in a row
        self._last_source: str | None = None  # of the last frame
        self._last_size_wh: tuple[int, int] | None = None
        self._lost_ns: int | None = None
        self._logged_reasons: set[str] = set()  # of this outage, each logged once
        self._late_error = ""  # in this outage, of a reader that was left behind

    def start(self, delay_s: float = 0.0) -> None:
        """Put a new reader in the place of the present one. Called with the lock held, as all below."""
        before = self.detach()
        self._thread = CaptureThread(self, delay_s, before)
        self._thread.start()

    def detach(self) -> CaptureThread | None:
        """Take the ring away from the present reader, and tell it to end."""
        reader, self._thread = self._thread, None
        if reader is not None:
            reader.stop()
            self._abandoned.append(reader)
        return reader

    def reconfigure(self, settings: CameraConfig, camera: Camera) -> None:
        """Another camera under this name, or the same opened in another way. The ledger goes on."""
        self.camera, self.settings = camera, settings
        self.lossless = _is_lossless(settings)
        self._backoff = Backoff(settings.retry_max_s)
        self.buffer.drop_newest()
        self.restart()

    def restart(self) -> None:
        self._backoff.reset()
        self._set_state("connecting", "", logging.INFO, "connecting again, as asked")
        self.start()

    def is_current(self, thread: CaptureThread) -> bool:
        return thread is self._thread

    @property
    def finished(self) -> bool:
        """No frame will come any more, and none is waiting."""
        final = self.state.phase == "ended" or (self.state.phase == "lost" and not self._retry)
        return final and self.buffer.empty

    def on_frame(self, captured: CapturedImage) -> None:
        """Book a good frame: the camera is, or is again, online."""
        size_wh = image_size(captured.image, captured.pixel_format)
        self._consecutive_frames += 1
        if self._consecutive_frames == STABLE_FRAMES:
            self._backoff.reset()
        if self.state.phase != "online":
            self._set_online(size_wh)
        elif size_wh != self._last_size_wh and captured.source == self._last_source:
            log.warning("camera %s: images are %dx%d from now on", self.name, *size_wh)
        self._last_size_wh, self._last_source = size_wh, captured.source

    def on_end(self, reason: str) -> None:
        self._set_state("ended", reason, logging.INFO, f"ended: {reason}")

    def on_lost(self, reason: str) -> float | None:
        """Note the loss; return how long to wait before the next try, None for never."""
        self._consecutive_frames = 0
        if self.state.phase != "lost":
            self._lost_ns = self.shared.clock()
            self._logged_reasons = set()
            level = logging.WARNING
        else:
            level = logging.DEBUG if reason in self._logged_reasons else logging.INFO
        self._logged_reasons.add(reason)
        self._set_state("lost", reason, level, f"lost: {reason}")
        return self._backoff.next_s() if self._retry else None

    def on_late_error(self, reason: str) -> None:
        """What a reader that was left behind met in the end: it knows more than our clock did."""
        if self.state.phase == "lost":
            self._late_error = reason

    def check_stall(self, now_ns: int) -> None:
        """Leave a reader behind that is overdue; start one again when hanging ones have woken."""
        self._abandoned = [reader for reader in self._abandoned if reader.is_alive()]
        reader = self._thread
        if reader is None:
            self._start_if_allowed(0.0)
        elif reader.busy_since_ns is not None:
            online = self.state.phase == "online"
            limit_s = self.settings.frame_timeout_s if online else self.settings.open_timeout_s
            if now_ns - reader.busy_since_ns > ns(limit_s):
                self._abandon_thread(f"no {'' if online else 'first '}frame for {limit_s:g} s")

    def _abandon_thread(self, reason: str) -> None:
        self.detach()
        reason += self._late_error and f"; the try before: {self._late_error}"
        if len(self._abandoned) >= MAX_ABANDONED:
            reason += f"; {MAX_ABANDONED} readers hang in its driver, the next starts when one returns"
        self._start_if_allowed(self.on_lost(reason))

    def _start_if_allowed(self, delay_s: float | None) -> None:
        if self._retry and delay_s is not None and len(self._abandoned) < MAX_ABANDONED:
            self.start(delay_s)

    def _set_online(self, size_wh: tuple[int, int]) -> None:
        away = "" if self._lost_ns is None else f" again after {self._outage_s():.1f} s"
        self._lost_ns, self._late_error = None, ""
        size = "{}x{}".format(*size_wh)
        self._set_state("online", size, logging.INFO, f"online{away}, {size}")

    def _outage_s(self) -> float:
        return (self.shared.clock() - (self._lost_ns or 0)) / NS_PER_S

    def _set_state(self, phase: CameraPhase, reason: str, level: int, text: str) -> None:
        if (phase, reason) == (self.state.phase, self.state.reason):
            return
        self.state = CameraState(camera=self.name, phase=phase, reason=reason, since_ns=self.shared.clock())
        self.shared.queue_event(self.state, level, text)
        self.shared.condition.notify_all()


def _is_lossless(settings: CameraConfig) -> bool:
    """Whether the source waits until its last frame was taken."""
    return settings.source_kind == "files" and not settings.realtime


class CaptureThread(SupervisedThread):
    """Opens one camera again and again and reads it, until retired. Writes only while its channel owns it."""

    def __init__(self, worker: CameraWorker, delay_s: float, predecessor: CaptureThread | None) -> None:
        super().__init__("capture", self._attempt, first_s=delay_s, detail=worker.name)
        self.busy_since_ns: int | None = None  # set while the library may hang, and no frame has come since
        self._worker = worker
        self._shared = worker.shared
        self._next_s: float | None = delay_s  # until the camera is opened again; None: never
        self._predecessor = predecessor

    def _attempt(self) -> float | None:
        if self._predecessor is not None:
            self._predecessor.join(HANDOVER_TIMEOUT_S)
            self._predecessor = None
        if self._next_s is not None and not self.stopping.is_set():
            self._run_session()
        self._shared.emit_events()
        return self._next_s

    def _run_session(self) -> None:
        outcome: Callable[[str], float | None] = self._worker.on_lost
        reason = ""
        try:
            self._read_frames()
        except EndOfSource as end:
            outcome, reason = self._worker.on_end, str(end)
        except CameraLost as lost:
            reason = str(lost)
        except Exception as bug:  # this thread's outermost supervisor: the other cameras go on
            log.exception("camera %s: the adapter has a bug", self._worker.name)
            reason = f"{type(bug).__name__}: {bug}"
        with self._shared.condition:
            self.busy_since_ns = None
            owner = self._worker.is_current(self)
            self._next_s = outcome(reason) if owner else None
            if not owner and outcome == self._worker.on_lost:
                self._worker.on_late_error(reason)

    def _read_frames(self) -> None:
        with self._shared.condition:
            self.busy_since_ns = self._shared.clock()
        with closing(self._worker.camera.open()) as stream:
            while not self.stopping.is_set():
                blank = self._acquire()
                self._deliver(stream.read(blank), blank)
                self._shared.emit_events()

    def _acquire(self, shape: tuple[int, ...] | None = None) -> U8 | None:
        """A slot to write into, of a new shape if given; None when there is none for us."""
        with self._shared.condition:
            if not self._worker.is_current(self):
                return None
            return self._worker.buffer.acquire_free() if shape is None else self._worker.buffer.reallocate(shape)

    def _deliver(self, captured: CapturedImage, free: U8 | None) -> None:
        if captured.image.size == 0:
            self._count_failed(captured, free)
            return
        image = self._accept_swapped(captured.image) if captured.swapped else self._into_buffer(captured.image, free)
        self._wait_until_due(captured)
        with self._shared.condition:
            if image is not None and self._worker.is_current(self):
                self.busy_since_ns = self._shared.clock()
                self._worker.on_frame(captured)
                self._worker.buffer.put(image, captured)
                self._shared.condition.notify_all()

    def _accept_swapped(self, image: U8) -> U8 | None:
        """An image in memory that the stream gave for ours; None when it is not for us any more."""
        with self._shared.condition:
            if not self._worker.is_current(self):
                return None
            self._worker.buffer.set_shape(image.shape)
        return image

    def _into_buffer(self, image: U8, free: U8 | None) -> U8 | None:
        """The image in a slot of the ring, copied there unless it was read there."""
        if image is free:
            return image
        if free is None or free.shape != image.shape:
            free = self._acquire(image.shape)
        if free is not None:
            np.copyto(free, image)
        return free

    def _wait_until_due(self, captured: CapturedImage) -> None:
        """Wait until a recorded frame is due and, in a patient channel, until there is room for it."""
        early_ns = captured.captured_ns - self._shared.clock()
        if early_ns > 0:
            self.busy_since_ns = None
            self.stopping.wait(early_ns / NS_PER_S)
        if self._worker.lossless:
            with self._shared.condition:
                self.busy_since_ns = None
                self._shared.condition.wait_for(lambda: self.stopping.is_set() or not self._worker.buffer.full)

    def _count_failed(self, captured: CapturedImage, free: U8 | None) -> None:
        with self._shared.condition:
            if self._worker.is_current(self):
                self._worker.buffer.count_failed(free)
                if captured.source is not None:  # a bad file is progress; a live camera owes good frames
                    self.busy_since_ns = self._shared.clock()
