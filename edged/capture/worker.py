"""One camera: its state, its back-off, its frame buffer, and the thread that reads it.

Upstream: `Camera`. Downstream: hub.py, whose condition guards everything here. A camera is stalled when our own clock
says so. A thread that hangs in a driver cannot be ended: it is abandoned, and another one takes its place.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from contextlib import closing

import numpy as np

from edged.capture.camera import Camera, CameraState, CapturedImage
from edged.capture.frame_buffer import FrameBuffer
from edged.config.tables.camera import CameraConfig
from edged.errors import CameraLost, EndOfSource
from edged.frame import U8, image_size
from edged.messages.schema import CameraPhase
from edged.runtime.backoff import Backoff
from edged.runtime.threads import SupervisedThread
from edged.units import NS_PER_S, ns

log = logging.getLogger(__name__)

STABLE_FRAMES = 30  # consecutive frames, before the back-off starts small again
FILE_TIMEOUT_S = 60.0  # of a file, which goes on where it is: 67 megapixels took 10 s to decode on a busy machine
MAX_ABANDONED = 4  # hanging threads per camera; with so many, no more are started
DAMAGE_QUIET_S = 60.0  # without a damaged picture, before the next one is logged again
HANDOVER_TIMEOUT_S = 1.0  # a new thread waits this long for the previous one to close the device


class CaptureShared:
    """What all workers share: the condition, the clock, and the queue of state changes.

    State changes are queued under the condition and emitted in order without it. Thread: any.
    """

    def __init__(self, on_state: Callable[[CameraState], None], clock: Callable[[], int]) -> None:
        self.condition = threading.Condition()
        self.clock = clock
        self._on_state = on_state
        self._events: deque[tuple[CameraState, int, str]] = deque()
        self._emit_lock = threading.RLock()

    def queue_event(self, state: CameraState, level: int, text: str) -> None:
        self._events.append((state, level, text))

    def drop_events(self, camera: str) -> None:
        """Drop a camera's queued events; none is emitted after this returns. Call without the condition."""
        with self._emit_lock, self.condition:
            self._events = deque(event for event in self._events if event[0].camera != camera)

    def emit_events(self) -> None:
        """Log the queued events and pass them to `on_state`. Call without the condition."""
        with self._emit_lock:
            while self._events:
                state, level, text = self._events.popleft()
                log.log(level, "camera %s: %s", state.camera, text)
                self._on_state(state)


class DamageLog:
    """Logs the first damaged picture of a camera, and how many they were when none has come for a while."""

    def __init__(self, camera: str) -> None:
        self._camera = camera
        self._pictures = 0
        self._last_ns = 0

    def update(self, now_ns: int, *, damaged: bool) -> None:
        if damaged:
            if not self._pictures:
                text = "camera %s: damaged pictures, until the next key frame: the stream has lost a part of them"
                log.warning(text, self._camera)
            self._pictures, self._last_ns = self._pictures + 1, now_ns
        elif self._pictures and now_ns - self._last_ns > ns(DAMAGE_QUIET_S):
            self.end()

    def end(self) -> None:
        if self._pictures:
            log.warning("camera %s: %d frames were damaged", self._camera, self._pictures)
        self._pictures = 0


class CameraWorker:
    """One camera: its buffer, its state, and the one thread that may write into the buffer.

    Thread: any, with the condition held; `is_current` decides whether a capture thread may still write.
    """

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
        self._consecutive_frames = 0
        self._last_source: str | None = None
        self._last_size_wh: tuple[int, int] | None = None
        self._lost_ns: int | None = None  # begin of this outage
        self._logged_reasons: set[str] = set()  # of this outage, each logged once
        self._late_error = ""  # of an abandoned thread, in this outage
        self._damage = DamageLog(name)

    def start(self, delay_s: float = 0.0) -> None:
        """Replace the present thread by a new one, which opens the camera after `delay_s`."""
        predecessor = self.detach()
        self._thread = CaptureThread(self, delay_s, predecessor)
        self._thread.start()

    def detach(self) -> CaptureThread | None:
        """Stop the present thread and take its right to write; returns it."""
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.stop()
            self._abandoned.append(thread)
        return thread

    def reconfigure(self, settings: CameraConfig, camera: Camera) -> None:
        """Replace the camera, or open the same one with other settings. The counts go on."""
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
        """Whether no more frame will come and none is waiting."""
        final = self.state.phase == "ended" or (self.state.phase == "lost" and not self._retry)
        return final and self.buffer.empty

    def on_frame(self, captured: CapturedImage) -> None:
        """Count a good frame and set the camera online."""
        size_wh = image_size(captured.image, captured.pixel_format)
        self._consecutive_frames += 1
        if self._consecutive_frames == STABLE_FRAMES:
            self._backoff.reset()
        if self.state.phase != "online":
            self._set_online(size_wh)
        elif size_wh != self._last_size_wh and captured.source == self._last_source:
            text = "images are {}x{} from now on".format(*size_wh)
            self._set_state("online", "", logging.WARNING, text, size_wh)
        self._last_size_wh, self._last_source = size_wh, captured.source
        self._damage.update(self.shared.clock(), damaged=captured.damaged)

    def on_end(self, reason: str) -> None:
        self._damage.end()
        self._set_state("ended", reason, logging.INFO, f"ended: {reason}")

    def on_lost(self, reason: str) -> float | None:
        """Set the camera lost; returns the seconds until the next attempt, None for no more attempts."""
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
        """Keep the error of an abandoned thread: it is the true reason of the stall that the clock found."""
        if self.state.phase == "lost":
            self._late_error = reason

    def check_stall(self, now_ns: int) -> None:
        """Abandon the thread if it is overdue; start one when too many had been abandoned and one has ended."""
        self._abandoned = [thread for thread in self._abandoned if thread.is_alive()]
        thread = self._thread
        if thread is None:
            self._start_if_allowed(0.0)
        elif thread.busy_since_ns is not None:
            online = self.state.phase == "online"
            limit_s = self.settings.stall_s if online else self.settings.open_timeout_s
            if self.settings.source_kind == "files":
                limit_s = max(limit_s, FILE_TIMEOUT_S)
            if now_ns - thread.busy_since_ns > ns(limit_s):
                self._abandon_thread(f"no {'' if online else 'first '}frame for {limit_s:g} s")

    def _abandon_thread(self, reason: str) -> None:
        self.detach()
        if self._late_error:
            reason += f"; the attempt before: {self._late_error}"
        if len(self._abandoned) >= MAX_ABANDONED:
            reason += f"; {MAX_ABANDONED} threads hang in its driver, the next starts when one returns"
        self._start_if_allowed(self.on_lost(reason))

    def _start_if_allowed(self, delay_s: float | None) -> None:
        if self._retry and delay_s is not None and len(self._abandoned) < MAX_ABANDONED:
            self.start(delay_s)

    def _set_online(self, size_wh: tuple[int, int]) -> None:
        outage = "" if self._lost_ns is None else f" again after {self._outage_s():.1f} s"
        self._lost_ns, self._late_error = None, ""
        size = "{}x{}".format(*size_wh)
        self._set_state("online", "", logging.INFO, f"online{outage}, {size}", size_wh)

    def _outage_s(self) -> float:
        return (self.shared.clock() - (self._lost_ns or 0)) / NS_PER_S

    def _set_state(
        self, phase: CameraPhase, reason: str, level: int, text: str, size_wh: tuple[int, int] | None = None
    ) -> None:
        if (phase, reason, size_wh) == (self.state.phase, self.state.reason, self.state.size_wh):
            return
        since_ns = self.state.since_ns if phase == self.state.phase == "online" else self.shared.clock()
        self.state = CameraState(camera=self.name, phase=phase, reason=reason, since_ns=since_ns, size_wh=size_wh)
        self.shared.queue_event(self.state, level, text)
        self.shared.condition.notify_all()


def _is_lossless(settings: CameraConfig) -> bool:
    """Whether the source waits until its last frame was leased, so that none is dropped."""
    return settings.source_kind == "files" and not settings.realtime


class CaptureThread(SupervisedThread):
    """Opens one camera and reads it until it fails, again and again. Writes only while `is_current`."""

    def __init__(self, worker: CameraWorker, delay_s: float, predecessor: CaptureThread | None) -> None:
        super().__init__("capture", self._attempt, first_s=delay_s, detail=worker.name)
        self.busy_since_ns: int | None = None  # begin of the library call that may hang; None outside one
        self._worker = worker
        self._shared = worker.shared
        self._next_s: float | None = delay_s  # until the next attempt; None: no more
        self._predecessor = predecessor

    def _attempt(self) -> float | None:
        """One session of the camera, from its opening to its end or loss."""
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
        except Exception as bug:  # edge to the camera's library: this camera is lost, the others go on
            log.exception("camera %s: unexpected error", self._worker.name)
            reason = f"{type(bug).__name__}: {bug}"
        with self._shared.condition:
            self.busy_since_ns = None
            current = self._worker.is_current(self)
            self._next_s = outcome(reason) if current else None
            if not current and outcome == self._worker.on_lost:
                self._worker.on_late_error(reason)

    def _read_frames(self) -> None:
        with self._shared.condition:
            self.busy_since_ns = self._shared.clock()
        with closing(self._worker.camera.open()) as stream:
            while not self.stopping.is_set():
                free = self._acquire()
                self._deliver(stream.read(free), free)
                self._shared.emit_events()

    def _acquire(self, shape: tuple[int, ...] | None = None) -> U8 | None:
        """A free buffer, of another shape if given; None when there is none or this thread may not write."""
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
        """The image, whose memory the stream has swapped for ours; None when this thread may not write."""
        with self._shared.condition:
            if not self._worker.is_current(self):
                return None
            self._worker.buffer.set_shape(image.shape)
        return image

    def _into_buffer(self, image: U8, free: U8 | None) -> U8 | None:
        """A buffer that holds the image, copied unless it was read there; None when this thread may not write."""
        if image is free:
            return image
        if free is None or free.shape != image.shape:
            free = self._acquire(image.shape)
        if free is not None:
            np.copyto(free, image)
        return free

    def _wait_until_due(self, captured: CapturedImage) -> None:
        """Wait until a recorded frame is due and, in a lossless worker, until the buffer has room for it."""
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
                if captured.source is not None:  # a bad file is progress; a live camera must give good frames
                    self.busy_since_ns = self._shared.clock()
