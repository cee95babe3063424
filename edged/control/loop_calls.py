"""Calls that other threads have the loop make between two frames.

Upstream: commands and finished engines. Downstream: the loop, which makes the pending ones.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout  # another class before Python 3.11
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from edged.errors import CommandRejected, LoopEnded

T = TypeVar("T")


class LoopCalls:
    def __init__(self) -> None:
        self._queue: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()
        self._ended = False

    def call(self, function: Callable[[], T], limit_s: float) -> T:
        """What `function` returns or raises, called by the loop. Any thread but the loop's; waits.

        Raises CommandRejected when the call has not begun within `limit_s`, LoopEnded when the loop ends before; it
        will not be made then.
        """
        future: Future[T] = Future()
        self._queue.put((future, function))
        if self._ended:
            self.end()
        try:
            return future.result(limit_s)
        except FutureTimeout:
            if future.cancel():
                got = f"no time between two frames for {limit_s:g} s"
                do = "send it again; see the log of the device"
                raise CommandRejected("daemon", got=got, wanted="some", do=do) from None
            return future.result()

    def end(self) -> None:
        """The loop makes no calls any more: those that wait are rejected. Any thread."""
        self._ended = True
        with suppress(Empty):
            while True:
                future, _ = self._queue.get_nowait()
                if future.set_running_or_notify_cancel():
                    future.set_exception(LoopEnded())

    @property
    def pending(self) -> bool:
        return not self._queue.empty()

    def run_pending(self) -> None:
        """Make all pending calls. The loop's thread."""
        while True:
            try:
                future, function = self._queue.get_nowait()
            except Empty:
                return
            if future.set_running_or_notify_cancel():
                _run(future, function)


def _run(future: Future[T], function: Callable[[], T]) -> None:
    try:
        future.set_result(function())
    except Exception as exc:  # the caller's, and raised there
        future.set_exception(exc)
