"""Calls that other threads have the loop make."""

from __future__ import annotations

import threading

import pytest

from edged.control.loop_calls import LoopCalls
from edged.errors import CommandRejected, LoopEnded
from edged.runtime.threads import SupervisedThread
from tests.support.waiting import LIMIT_S


def test_call_runs_on_the_loop_thread_and_returns_its_result() -> None:
    calls, results = LoopCalls(), []
    caller = threading.Thread(target=lambda: results.append(calls.call(threading.get_ident, 10)))
    caller.start()
    while caller.is_alive():
        calls.run_pending()
    assert results == [threading.get_ident()]


def test_exception_of_a_call_is_raised_in_the_caller() -> None:
    calls, raised = LoopCalls(), []

    def ask() -> None:
        with pytest.raises(ZeroDivisionError) as caught:
            calls.call(lambda: 1 // 0, 10)
        raised.append(caught.value)

    caller = threading.Thread(target=ask)
    caller.start()
    while caller.is_alive():
        calls.run_pending()
    assert len(raised) == 1


def test_call_not_started_in_time_is_cancelled() -> None:
    calls, done = LoopCalls(), []
    with pytest.raises(CommandRejected):
        calls.call(lambda: done.append(1), 0.01)
    calls.run_pending()
    assert done == []


def test_call_is_rejected_when_the_loop_has_ended_and_none_waits_for_it() -> None:
    calls, rejected = LoopCalls(), []

    def ask() -> None:
        with pytest.raises(LoopEnded, match="send it again"):
            calls.call(lambda: None, 60)
        rejected.append(1)

    caller = threading.Thread(target=ask)
    caller.start()
    while not calls.pending:
        pass
    calls.end()
    caller.join(LIMIT_S)
    ask()
    assert rejected == [1, 1]


def test_thread_whose_call_comes_after_the_loop_ends_without_a_fault(caplog: pytest.LogCaptureFixture) -> None:
    calls = LoopCalls()
    calls.end()
    thread = SupervisedThread("switches", lambda: calls.call(lambda: 1.0, 60))
    assert thread._round() is None
    assert not caplog.records
