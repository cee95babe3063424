"""Work for the compute thread, asked for by others."""

from __future__ import annotations

import threading

import pytest

from edged.control.loop_calls import LoopCalls
from edged.errors import CommandRejected


def test_an_errand_is_done_on_the_thread_that_runs_them_and_answered() -> None:
    errands, answers = LoopCalls(), []
    asking = threading.Thread(target=lambda: answers.append(errands.call(threading.get_ident, 10)))
    asking.start()
    while asking.is_alive():
        errands.run_pending()
    assert answers == [threading.get_ident()]


def test_what_an_errand_raises_is_raised_where_it_was_asked_for() -> None:
    errands, raised = LoopCalls(), []

    def ask() -> None:
        with pytest.raises(ZeroDivisionError) as caught:
            errands.call(lambda: 1 // 0, 10)
        raised.append(caught.value)

    asking = threading.Thread(target=ask)
    asking.start()
    while asking.is_alive():
        errands.run_pending()
    assert len(raised) == 1


def test_an_errand_that_nobody_began_in_time_is_never_done() -> None:
    errands, done = LoopCalls(), []
    with pytest.raises(CommandRejected, match="no time between two frames"):
        errands.call(lambda: done.append(1), 0.01)
    errands.run_pending()
    assert done == []
