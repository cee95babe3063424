"""Work for the compute thread that is no frame: done between two of them, asked for by other threads.

Upstream: commands. Downstream: the loop, which runs what waits.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLate  # another class before Python 3.11
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from edged.errors import CommandRejected

T = TypeVar("T")


class LoopCalls:
    def __init__(self) -> None:
        self._queue: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()

    def call(self, function: Callable[[], T], limit_s: float) -> T:
        """Have it done, and return what it returns or raises. Raises `Declined` when it is not begun in time."""
        answer: Future[T] = Future()
        self._queue.put((answer, function))
        try:
            return answer.result(limit_s)
        except TooLate:
            if answer.cancel():
                got = f"no time between two frames for {limit_s:g} s"
                raise CommandRejected(
                    "daemon", got=got, wanted="some", do="send it again; see the log of the box"
                ) from None
            return answer.result()

    @property
    def pending(self) -> bool:
        return not self._queue.empty()

    def run_pending(self) -> None:
        """Everything that waits. On the compute thread."""
        while True:
            try:
                answer, errand = self._queue.get_nowait()
            except Empty:
                return
            if answer.set_running_or_notify_cancel():
                _run(answer, errand)


def _run(answer: Future[T], errand: Callable[[], T]) -> None:
    try:
        answer.set_result(errand())
    except Exception as exc:  # theirs who asked, and raised there
        answer.set_exception(exc)
