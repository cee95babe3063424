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

from edged import config
from edged.channel import CameraState, Channel, Desk, Reader
from edged.frame import Frame
from edged.pace import Pace
from edged.ports import Camera
from edged.ring import Ledger
from edged.units import NS_PER_S

__all__ = ["CameraState", "Intake", "Ledger"]

log = logging.getLogger(__name__)

WATCH_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """All cameras at one instant; the counts are to be compared with earlier ones."""

    worked: int  # frames processed or failed
    dropped: int
    rounds: int  # of the thread that minds the cameras
    states: dict[str, CameraState]
    away: dict[str, config.Camera]  # those that give nothing, and are to
    well: dict[str, config.Camera]


class Intake:
    """All cameras, and one place to take frames from.

    `on_state` is told every change of state once, in order, from a capture or watch thread; it must not block.
    With `retry` off a lost camera is given up, and counts as exhausted.
    """

    def __init__(
        self,
        cameras: Mapping[str, tuple[config.Camera, Camera]],
        on_state: Callable[[CameraState], None],
        *,
        retry: bool = True,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._desk = Desk(on_state, clock)
        self._retry = retry
        self._channels = {
            name: Channel(name, settings, camera, self._desk, retry=retry)
            for name, (settings, camera) in cameras.items()
        }
        self._turn = deque(self._channels.values())
        self._period_ns = 0  # between two frames of a camera, where not all are wanted
        self._resting_ns: dict[str, int] = {}  # the same, of those where nothing moves
        self._paces: dict[str, Pace] = {}
        self._rounds = 0
        self._stop = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="capture-watch", daemon=True)

    def start(self) -> None:
        with self._desk.changed:
            for channel in self._channels.values():
                self._begin(channel)
        self._desk.tell()
        self._watcher.start()

    @property
    def exhausted(self) -> bool:
        """Whether every source has ended and its last frame is booked."""
        with self._desk.changed:
            return all(channel.over for channel in self._channels.values())

    @property
    def states(self) -> dict[str, CameraState]:
        with self._desk.changed:
            return {name: channel.state for name, channel in self._channels.items()}

    @property
    def standing(self) -> Standing:
        with self._desk.changed:
            channels = dict(self._channels)
            ledgers = [channel.ring.ledger for channel in channels.values()]
            states = {name: channel.state for name, channel in channels.items()}
        return Standing(
            worked=sum(book.processed + book.failed for book in ledgers),
            dropped=sum(book.dropped for book in ledgers),
            rounds=self._rounds,
            states=states,
            away={name: channels[name].settings for name in states if states[name].phase in ("connecting", "lost")},
            well={name: channels[name].settings for name in states if states[name].phase == "online"},
        )

    def ledger(self, name: str) -> Ledger:
        with self._desk.changed:
            return self._channels[name].ring.ledger

    def limit(self, most_hz: float | None) -> None:
        """From now on no more frames of a camera than this are handed out; None: as many as can be worked off."""
        with self._desk.changed:
            self._period_ns = 0 if most_hz is None else round(NS_PER_S / most_hz)
            self._paces = {}

    def rest(self, name: str, hz: float | None) -> None:
        """From now on no more frames of this camera than `hz` are handed out: nothing moves there. None: all again."""
        with self._desk.changed:
            self._resting_ns[name] = 0 if hz is None else round(NS_PER_S / hz)
            self._paces.pop(name, None)

    def restart(self, name: str) -> None:
        """Close a camera and open it again at once."""
        with self._desk.changed:
            if not self._stop.is_set():
                self._channels[name].restart()
        self._desk.tell()

    def put(self, name: str, settings: config.Camera, camera: Camera) -> None:
        """Open one more camera, or another in the place of the one of this name."""
        with self._desk.changed:
            if self._stop.is_set():
                return
            if name in self._channels:
                self._channels[name].change(settings, camera)
            else:
                channel = self._channels[name] = Channel(name, settings, camera, self._desk, retry=self._retry)
                self._turn.append(channel)
                self._begin(channel)
        self._desk.tell()

    def remove(self, name: str) -> None:
        """Close a camera for good. Not while one of its frames is leased."""
        with self._desk.changed:
            channel = self._channels.pop(name)
            self._turn.remove(channel)
            channel.retire()
            channel.ring.drop()
            self._desk.changed.notify_all()
        self._desk.forget(name)

    @contextmanager
    def lease(self, timeout_s: float) -> Iterator[Frame | None]:
        """The newest frame of the next camera in turn, ours inside the block only; None when none came in time.

        Left normally, the frame counts as processed; left by an exception, as failed.
        """
        channel, frame = self._take(timeout_s)
        processed = False
        try:
            yield frame
            processed = True
        finally:
            if channel is not None:
                with self._desk.changed:
                    channel.ring.settle(processed=processed)
                    self._desk.changed.notify_all()

    def close(self, limit_s: float = 0.8) -> None:
        """Stop every camera within the limit; say which would not. Waits for a lease that is out elsewhere."""
        end_s = time.monotonic() + limit_s
        self._stop.set()
        for thread in (*self._retire_all(), self._watcher):
            if thread.ident is not None:  # None: never started
                thread.join(max(0.0, end_s - time.monotonic()))
                if thread.is_alive():
                    log.warning("%s would not end within %g s and is left behind", thread.name, limit_s)
        with self._desk.changed:
            rest_s = max(0.0, end_s - time.monotonic())
            self._desk.changed.wait_for(lambda: all(c.ring.empty for c in self._channels.values()), rest_s)

    def _begin(self, channel: Channel) -> None:
        self._desk.note(channel.state, logging.DEBUG, "connecting")
        channel.start()

    def _retire_all(self) -> list[Reader]:
        with self._desk.changed:
            readers = [channel.retire() for channel in self._channels.values()]
            for channel in self._channels.values():
                channel.ring.drop()
            self._desk.changed.notify_all()
        return [reader for reader in readers if reader is not None]

    def _take(self, timeout_s: float) -> tuple[Channel, Frame] | tuple[None, None]:
        with self._desk.changed:
            found = self._desk.changed.wait_for(lambda: self._next() or self._idle(), timeout_s)
            self._desk.changed.notify_all()  # a patient camera has room for its next frame
        return found if isinstance(found, tuple) else (None, None)

    def _next(self) -> tuple[Channel, Frame] | None:
        for _ in range(len(self._turn)):
            channel = self._turn[0]
            self._turn.rotate(-1)
            if self._early(channel):
                continue
            frame = channel.ring.lease()
            if frame is not None:
                return channel, frame
        return None

    def _early(self, channel: Channel) -> bool:
        """Whether its newest frame comes too soon after the one before; it stays, until a newer one takes its place."""
        period_ns = max(self._period_ns, self._resting_ns.get(channel.name, 0))
        if not period_ns or not channel.ring.ready:
            return False
        return not self._paces.setdefault(channel.name, Pace(period_ns)).due(self._desk.clock())

    def _idle(self) -> bool:
        """Nothing to wait for."""
        return self._stop.is_set() or all(channel.over for channel in self._channels.values())

    def _watch(self) -> None:
        while not self._stop.wait(WATCH_S):
            now_ns = self._desk.clock()
            with self._desk.changed:
                if self._stop.is_set():
                    return
                for channel in self._channels.values():
                    channel.watch(now_ns)
            self._desk.tell()
            self._rounds += 1
