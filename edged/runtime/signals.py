"""Signals of the daemon: which end it, which reload it, and for how long it may end."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from edged.runtime.threads import SupervisedThread

log = logging.getLogger(__name__)

STOP_LIMIT_S = 1.8  # from a signal to the end; what is not closed by then is as after a power cut, which costs nothing

POLL_S = 0.1  # between two looks at whether the end that is due may come


@contextmanager
def stop_on_signals(stop: threading.Event, reload: Callable[[], None]) -> Iterator[None]:
    """Inside, SIGTERM and SIGINT set `stop`; SIGHUP calls `reload`.

    Where stdin is a terminal, SIGHUP sets `stop` too: the terminal was closed. A process that does not end within
    STOP_LIMIT_S of a signal, say because it loads models, is ended as it is. The main thread only.
    """
    limit = SupervisedThread("stop-limit", _exit_now, first_s=STOP_LIMIT_S)

    def end(*_: object) -> None:
        if not stop.is_set():
            stop.set()
            with suppress(RuntimeError):  # no memory for a thread: then the end has no limit
                limit.start()

    terminal = sys.stdin is not None and sys.stdin.isatty()
    handlers = dict.fromkeys((signal.SIGTERM, signal.SIGINT, *([signal.SIGHUP] if terminal else [])), end)
    handlers.setdefault(signal.SIGHUP, lambda *_: reload())
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        limit.stop()
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def stop_after(stop: threading.Event, after_s: float, may_end: Callable[[], bool]) -> Iterator[None]:
    """Inside, `stop` is set once `after_s` have passed and `may_end` is true. That is called on another thread."""

    def step() -> float | None:
        if not may_end():
            return POLL_S
        stop.set()
        return None

    timer = SupervisedThread("stop-after", step, first_s=after_s)
    timer.start()
    try:
        yield
    finally:
        timer.stop()


def _exit_now() -> None:
    log.warning("not closed %g s after the signal: the process ends now", STOP_LIMIT_S)
    logging.shutdown()
    os._exit(0)
