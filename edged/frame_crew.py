"""Threads that compute frames beside the loop's: none until there are two frames at once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from queue import Empty, SimpleQueue
from types import TracebackType

from edged.frame import FrameResult
from edged.runtime.threads import SupervisedThread

log = logging.getLogger(__name__)

POLL_S = 1.0  # longest wait for a frame, before a thread shows that it goes round
STOP_S = 2.0  # until a thread that still computes is abandoned

Job = Callable[[], FrameResult]
Task = tuple[Future[FrameResult], Job]


class FrameCrew:
    """Computes frames at once: the first in the caller's thread, each further one in a thread of its own.

    Closed where its block ends. Thread: the loop's.
    """

    def __init__(self) -> None:
        self._tasks: SimpleQueue[Task | None] = SimpleQueue()
        self._threads: list[SupervisedThread] = []

    def __enter__(self) -> FrameCrew:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for thread in self._threads:
            thread.stop()
            self._tasks.put(None)
        for thread in self._threads:
            if not thread.join(STOP_S):
                log.warning("%s does not end within %g s and is abandoned", thread.name, STOP_S)

    def run(self, jobs: Sequence[Job]) -> list[Future[FrameResult]]:
        """The jobs, all done: each with its result, or with what it raised."""
        tasks: list[Task] = [(Future(), job) for job in jobs]
        while len(self._threads) < len(tasks) - 1:
            thread = SupervisedThread("frames", self._step, detail=str(len(self._threads) + 1))
            self._threads.append(thread)
            thread.start()
        for task in tasks[1:]:
            self._tasks.put(task)
        if tasks:
            _do(*tasks[0])
        futures = [future for future, _ in tasks]
        wait(futures)
        return futures

    def _step(self) -> float:
        try:
            task = self._tasks.get(timeout=POLL_S)
        except Empty:
            return 0.0
        if task is not None:
            _do(*task)
        return 0.0


def _do(future: Future[FrameResult], job: Job) -> None:
    try:
        future.set_result(job())
    except Exception as error:  # the loop's, and raised there
        future.set_exception(error)
