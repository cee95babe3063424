"""All cameras, read in parallel; the loop leases their frames from here in turn.

Upstream: one CameraWorker per camera. Downstream: the loop. Only the newest frame of a camera is kept, and every drop
is counted; a file with `realtime = false` waits for the loop instead. One condition guards everything.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from edged.capture.camera import Camera, CameraState
from edged.capture.frame_buffer import FrameCounts
from edged.capture.worker import CameraWorker, CaptureShared, CaptureThread
from edged.config.tables.camera import CameraConfig
from edged.frame import Frame
from edged.runtime.rate_limit import RateLimiter
from edged.runtime.threads import SupervisedThread
from edged.units import NS_PER_S

log = logging.getLogger(__name__)

CLOSE_LIMIT_S = 0.8  # for all capture threads to end; a stop may take 1.8 s (runtime/signals.py)
STALL_CHECK_PERIOD_S = 0.1  # between two checks; the shortest `frame_timeout_s` is 0.2


@dataclass(slots=True)
class Lease:
    """A frame and its fate. Its image is valid while it is leased."""

    frame: Frame
    processed: bool = False  # else it counts as failed when it is returned


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureStats:
    """All cameras at one instant. The counts only grow: compare them with earlier ones."""

    processed: int  # frames processed or failed
    dropped: int
    states: dict[str, CameraState]
    offline: dict[str, CameraConfig]  # connecting or lost
    online: dict[str, CameraConfig]


class CameraHub:
    """All cameras of the daemon.

    `on_state` gets every change of state once, in order, from a capture or capture-watch thread; it must not block.
    Without `retry`, a lost camera is not opened again and counts as exhausted.
    Thread: `lease` the loop's; everything else any.
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
        self._min_period_ns = 0  # between two leased frames of one camera; 0: no limit
        self._idle_period_ns: dict[str, int] = {}  # the same by camera, while nothing moves there
        self._limiters: dict[str, RateLimiter] = {}
        self._stop = threading.Event()
        self._watcher = SupervisedThread("capture-watch", self._check_stalls, first_s=STALL_CHECK_PERIOD_S)

    def start(self) -> None:
        with self._shared.condition:
            for worker in self._workers.values():
                self._start_worker(worker)
        self._shared.emit_events()
        self._watcher.start()

    @property
    def exhausted(self) -> bool:
        """Whether every source has ended and its last frame has been counted."""
        with self._shared.condition:
            return self._all_finished()

    @property
    def states(self) -> dict[str, CameraState]:
        with self._shared.condition:
            return {name: worker.state for name, worker in self._workers.items()}

    @property
    def stats(self) -> CaptureStats:
        with self._shared.condition:
            workers = dict(self._workers)
            counts = [worker.buffer.counts for worker in workers.values()]
            states = {name: worker.state for name, worker in workers.items()}
        return CaptureStats(
            processed=sum(camera.processed + camera.failed for camera in counts),
            dropped=sum(camera.dropped for camera in counts),
            states=states,
            offline={name: workers[name].settings for name in states if states[name].phase in ("connecting", "lost")},
            online={name: workers[name].settings for name in states if states[name].phase == "online"},
        )

    def counts(self, name: str) -> FrameCounts:
        with self._shared.condition:
            return self._workers[name].buffer.counts

    def set_max_rate(self, max_hz: float | None) -> None:
        """Limit the frames leased per second and camera; None: no limit."""
        with self._shared.condition:
            self._min_period_ns = 0 if max_hz is None else round(NS_PER_S / max_hz)
            self._limiters = {}

    def set_idle_rate(self, name: str, hz: float | None) -> None:
        """Limit this camera's frames per second while nothing moves there; None: no limit."""
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
        """Add a camera, or replace the one of this name."""
        with self._shared.condition:
            if self._stop.is_set():
                return
            if name in self._workers:
                self._workers[name].reconfigure(settings, camera)
            else:
                worker = self._workers[name] = CameraWorker(name, settings, camera, self._shared, retry=self._retry)
                self._round_robin.append(worker)
                self._start_worker(worker)
        self._shared.emit_events()

    def remove_camera(self, name: str) -> None:
        """Close a camera for good. Must not be called while one of its frames is leased. Raises KeyError."""
        with self._shared.condition:
            worker = self._workers.pop(name)
            self._round_robin.remove(worker)
            worker.detach()
            worker.buffer.drop_newest()
            self._shared.condition.notify_all()
        self._shared.drop_events(name)

    @contextmanager
    def lease(self, timeout_s: float, most: int) -> Iterator[list[Lease]]:
        """The newest frames of the next cameras in turn, `most` at most; waits for the first one only.

        Each is of another camera, and counts as `processed` says when the block is left. Images are valid inside it.
        """
        found = self._wait_for_frames(timeout_s, most)
        try:
            yield [lease for _, lease in found]
        finally:
            if found:
                with self._shared.condition:
                    for worker, lease in found:
                        worker.buffer.release(processed=lease.processed)
                    self._shared.condition.notify_all()

    def close(self, limit_s: float = CLOSE_LIMIT_S) -> None:
        """Stop every camera and log those that do not stop in time. Waits for a lease held by another thread."""
        end_s = time.monotonic() + limit_s
        self._stop.set()
        self._watcher.stop()
        for thread in (*self._detach_all(), self._watcher):
            if not thread.join(max(0.0, end_s - time.monotonic())):
                log.warning("%s does not end within %g s and is abandoned", thread.name, limit_s)
        with self._shared.condition:
            left_s = max(0.0, end_s - time.monotonic())
            self._shared.condition.wait_for(lambda: all(w.buffer.empty for w in self._workers.values()), left_s)

    def _start_worker(self, worker: CameraWorker) -> None:
        self._shared.queue_event(worker.state, logging.DEBUG, "connecting")
        worker.start()

    def _detach_all(self) -> list[CaptureThread]:
        with self._shared.condition:
            threads = [worker.detach() for worker in self._workers.values()]
            for worker in self._workers.values():
                worker.buffer.drop_newest()
            self._shared.condition.notify_all()
        return [thread for thread in threads if thread is not None]

    def _wait_for_frames(self, timeout_s: float, most: int) -> list[tuple[CameraWorker, Lease]]:
        with self._shared.condition:
            first = self._shared.condition.wait_for(lambda: self._next_frame() or self._no_more_frames(), timeout_s)
            found = [first] if isinstance(first, tuple) else []
            while found and len(found) < most and (another := self._next_frame()):
                found.append(another)
            self._shared.condition.notify_all()  # a lossless camera has room for its next frame
        return found

    def _next_frame(self) -> tuple[CameraWorker, Lease] | None:
        for _ in range(len(self._round_robin)):
            worker = self._round_robin[0]
            self._round_robin.rotate(-1)
            if self._too_soon(worker):
                continue
            frame = worker.buffer.lease()
            if frame is not None:
                return worker, Lease(frame)
        return None

    def _too_soon(self, worker: CameraWorker) -> bool:
        """Whether the newest frame exceeds the rate limit; it stays in the buffer until a newer one replaces it."""
        period_ns = max(self._min_period_ns, self._idle_period_ns.get(worker.name, 0))
        if not period_ns or not worker.buffer.ready:
            return False
        return not self._limiters.setdefault(worker.name, RateLimiter(period_ns)).allow(self._shared.clock())

    def _no_more_frames(self) -> bool:
        """Whether waiting for a frame is pointless."""
        return self._stop.is_set() or self._all_finished()

    def _all_finished(self) -> bool:
        """No, where there is no camera: one may be added."""
        return bool(self._workers) and all(worker.finished for worker in self._workers.values())

    def _check_stalls(self) -> float | None:
        now_ns = self._shared.clock()
        with self._shared.condition:
            if self._stop.is_set():
                return None
            for worker in self._workers.values():
                worker.check_stall(now_ns)
        self._shared.emit_events()
        return STALL_CHECK_PERIOD_S
