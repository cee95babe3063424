"""Frames in: all cameras read side by side, and one place to take their frames from, in turn.

Upstream a `Channel` per camera, downstream the loop. Newest wins and every drop is counted; a file read with
`realtime = false` waits for the consumer instead. One condition guards everything.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from edged.capture.camera import Camera
from edged.capture.frame_buffer import FrameCounts
from edged.capture.worker import CameraState, CameraWorker, CaptureShared, CaptureThread
from edged.config.tables.camera import CameraConfig
from edged.frame import Frame
from edged.runtime.rate_limit import RateLimiter
from edged.runtime.threads import SupervisedThread
from edged.units import NS_PER_S

__all__ = ["CameraHub", "CameraState", "FrameCounts"]

log = logging.getLogger(__name__)

STALL_CHECK_PERIOD_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureStats:
    """All cameras at one instant; the counts are to be compared with earlier ones."""

    processed: int  # frames processed or failed
    dropped: int
    states: dict[str, CameraState]
    offline: dict[str, CameraConfig]  # those that give nothing, and are to
    online: dict[str, CameraConfig]


class CameraHub:
    """All cameras, and one place to take frames from.

    `on_state` is told every change of state once, in order, from a capture or watch thread; it must not block.
    With `retry` off a lost camera is given up, and counts as exhausted.
    """

    def __init__(
        self,
        cameras: Mapping[str, tuple[CameraConfig, Camera]],
        on_state: Callable[[CameraState], None],
        *,
        retry: bool = True,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._shared = CaptureShared(on_state, clock)
        self._retry = retry
        self._workers = {
            name: CameraWorker(name, settings, camera, self._shared, retry=retry)
            for name, (settings, camera) in cameras.items()
        }
        self._round_robin = deque(self._workers.values())
        self._min_period_ns = 0  # between two frames of a camera, where not all are wanted
        self._idle_period_ns: dict[str, int] = {}  # the same, of those where nothing moves
        self._limiters: dict[str, RateLimiter] = {}
        self._stop = threading.Event()
        self._watcher = SupervisedThread("capture-watch", self._check_stalls, first_s=STALL_CHECK_PERIOD_S)

    def start(self) -> None:
        with self._shared.condition:
            for channel in self._workers.values():
                self._start_worker(channel)
        self._shared.emit_events()
        self._watcher.start()

    @property
    def exhausted(self) -> bool:
        """Whether every source has ended and its last frame is booked."""
        with self._shared.condition:
            return all(channel.finished for channel in self._workers.values())

    @property
    def states(self) -> dict[str, CameraState]:
        with self._shared.condition:
            return {name: channel.state for name, channel in self._workers.items()}

    @property
    def stats(self) -> CaptureStats:
        with self._shared.condition:
            channels = dict(self._workers)
            ledgers = [channel.buffer.counts for channel in channels.values()]
            states = {name: channel.state for name, channel in channels.items()}
        return CaptureStats(
            processed=sum(book.processed + book.failed for book in ledgers),
            dropped=sum(book.dropped for book in ledgers),
            states=states,
            offline={name: channels[name].settings for name in states if states[name].phase in ("connecting", "lost")},
            online={name: channels[name].settings for name in states if states[name].phase == "online"},
        )

    def counts(self, name: str) -> FrameCounts:
        with self._shared.condition:
            return self._workers[name].buffer.counts

    def set_max_rate(self, max_hz: float | None) -> None:
        """From now on no more frames of a camera than this are handed out; None: as many as can be worked off."""
        with self._shared.condition:
            self._min_period_ns = 0 if max_hz is None else round(NS_PER_S / max_hz)
            self._limiters = {}

    def set_idle_rate(self, name: str, hz: float | None) -> None:
        """From now on no more frames of this camera than `hz` are handed out: nothing moves there. None: all again."""
        with self._shared.condition:
            self._idle_period_ns[name] = 0 if hz is None else round(NS_PER_S / hz)
            self._limiters.pop(name, None)

    def restart(self, name: str) -> None:
        """Close a camera and open it again at once."""
        with self._shared.condition:
            if not self._stop.is_set():
                self._workers[name].restart()
        self._shared.emit_events()

    def set_camera(self, name: str, settings: CameraConfig, camera: Camera) -> None:
        """Open one more camera, or another in the place of the one of this name."""
        with self._shared.condition:
            if self._stop.is_set():
                return
            if name in self._workers:
                self._workers[name].reconfigure(settings, camera)
            else:
                channel = self._workers[name] = CameraWorker(name, settings, camera, self._shared, retry=self._retry)
                self._round_robin.append(channel)
                self._start_worker(channel)
        self._shared.emit_events()

    def remove_camera(self, name: str) -> None:
        """Close a camera for good. Not while one of its frames is leased."""
        with self._shared.condition:
            channel = self._workers.pop(name)
            self._round_robin.remove(channel)
            channel.detach()
            channel.buffer.drop_newest()
            self._shared.condition.notify_all()
        self._shared.drop_events(name)

    @contextmanager
    def lease(self, timeout_s: float) -> Iterator[Frame | None]:
        """The newest frame of the next camera in turn, ours inside the block only; None when none came in time.

        Left normally, the frame counts as processed; left by an exception, as failed.
        """
        channel, frame = self._wait_for_frame(timeout_s)
        processed = False
        try:
            yield frame
            processed = True
        finally:
            if channel is not None:
                with self._shared.condition:
                    channel.buffer.release(processed=processed)
                    self._shared.condition.notify_all()

    def close(self, limit_s: float = 0.8) -> None:
        """Stop every camera within the limit; say which would not. Waits for a lease that is out elsewhere."""
        end_s = time.monotonic() + limit_s
        self._stop.set()
        self._watcher.stop()
        for thread in (*self._detach_all(), self._watcher):
            if not thread.join(max(0.0, end_s - time.monotonic())):
                log.warning("%s would not end within %g s and is left behind", thread.name, limit_s)
        with self._shared.condition:
            rest_s = max(0.0, end_s - time.monotonic())
            self._shared.condition.wait_for(lambda: all(c.buffer.empty for c in self._workers.values()), rest_s)

    def _start_worker(self, worker: CameraWorker) -> None:
        self._shared.queue_event(worker.state, logging.DEBUG, "connecting")
        worker.start()

    def _detach_all(self) -> list[CaptureThread]:
        with self._shared.condition:
            readers = [channel.detach() for channel in self._workers.values()]
            for channel in self._workers.values():
                channel.buffer.drop_newest()
            self._shared.condition.notify_all()
        return [reader for reader in readers if reader is not None]

    def _wait_for_frame(self, timeout_s: float) -> tuple[CameraWorker, Frame] | tuple[None, None]:
        with self._shared.condition:
            found = self._shared.condition.wait_for(lambda: self._next_frame() or self._no_more_frames(), timeout_s)
            self._shared.condition.notify_all()  # a patient camera has room for its next frame
        return found if isinstance(found, tuple) else (None, None)

    def _next_frame(self) -> tuple[CameraWorker, Frame] | None:
        for _ in range(len(self._round_robin)):
            channel = self._round_robin[0]
            self._round_robin.rotate(-1)
            if self._too_soon(channel):
                continue
            frame = channel.buffer.lease()
            if frame is not None:
                return channel, frame
        return None

    def _too_soon(self, worker: CameraWorker) -> bool:
        """Whether its newest frame comes too soon after the one before; it stays, until a newer one takes its place."""
        period_ns = max(self._min_period_ns, self._idle_period_ns.get(worker.name, 0))
        if not period_ns or not worker.buffer.ready:
            return False
        return not self._limiters.setdefault(worker.name, RateLimiter(period_ns)).allow(self._shared.clock())

    def _no_more_frames(self) -> bool:
        """Nothing to wait for."""
        return self._stop.is_set() or all(channel.finished for channel in self._workers.values())

    def _check_stalls(self) -> float | None:
        now_ns = self._shared.clock()
        with self._shared.condition:
            if self._stop.is_set():
                return None
            for worker in self._workers.values():
                worker.check_stall(now_ns)
        self._shared.emit_events()
        return STALL_CHECK_PERIOD_S
