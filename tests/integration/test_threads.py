"""The supervisor that every thread of the daemon runs under."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest

import edged
from edged.errors import DeviceLost, ThreadDied
from edged.frame import ImageQuality
from edged.runtime import threads
from edged.runtime.threads import MAX_RESTARTS, SupervisedThread
from edged.units import ns
from tests.support.clock import ManualClock
from tests.support.scene import Stage
from tests.support.waiting import until

LIMIT_S = 60.0


@pytest.fixture
def new_thread(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., SupervisedThread]]:
    """A thread of the daemon whose failures are not waited for; its clock is moved by hand."""
    monkeypatch.setattr(threads, "RESTART_WAIT_S", 0.0)
    made: list[SupervisedThread] = []

    def new(step: Callable[[], float | None], name: str = "behaviour") -> SupervisedThread:
        made.append(SupervisedThread(name, step, clock=clock))
        return made[-1]

    yield new
    for thread in made:
        thread.stop()
        assert thread.join(LIMIT_S)


class Steps:
    """A step that raises each error in turn, and then ends."""

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)

    def __call__(self) -> float | None:
        if self._errors:
            raise self._errors.pop(0)
        return None


def test_exception_in_step_logged_once_per_kind_and_next_round_comes(
    new_thread: Callable[..., SupervisedThread], caplog: pytest.LogCaptureFixture
) -> None:
    thread = new_thread(Steps(ValueError("one"), ValueError("two"), KeyError("three")))
    thread.start()
    assert thread.join(LIMIT_S)
    assert thread.rounds == 1
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [ValueError, KeyError]


def test_step_that_fails_in_part_is_reported_as_failing(new_thread: Callable[..., SupervisedThread]) -> None:
    thread = new_thread(lambda: None)
    thread.partial_error = "camera stall: ValueError"
    trouble = thread.trouble()
    assert trouble is not None
    assert (trouble.kind, trouble.reason) == ("failing", "camera stall: ValueError")


def test_camera_that_fails_in_the_behaviour_thread_is_named_and_the_thread_continues(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.show(1, "horse", quality=cast("ImageQuality", None))
    stage.monitor.start()
    try:
        trouble = until(lambda: next((one for one in threads.troubles() if one.thread == "behaviour"), None))
    finally:
        stage.monitor.close()
    assert trouble.kind == "failing"
    assert "camera stall" in trouble.reason


def test_fatal_in_step_is_raised_in_the_loop_once(new_thread: Callable[..., SupervisedThread]) -> None:
    thread = new_thread(Steps(DeviceLost("gone")))
    thread.start()
    assert thread.join(LIMIT_S)
    with pytest.raises(DeviceLost):
        threads.raise_fatal()
    threads.raise_fatal()


def test_thread_that_must_live_is_fatal_after_its_restarts(new_thread: Callable[..., SupervisedThread]) -> None:
    thread = new_thread(Steps(*[ValueError("bug")] * (MAX_RESTARTS + 1)), "health")
    thread.start()
    assert thread.join(LIMIT_S)
    assert thread.rounds == 0
    with pytest.raises(ThreadDied):
        threads.raise_fatal()


def test_restarts_of_another_thread_are_spread_over_the_window(
    new_thread: Callable[..., SupervisedThread], monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    thread = new_thread(Steps(*[ValueError("bug")] * (MAX_RESTARTS + 2)))
    monkeypatch.setattr(threading.Event, "wait", lambda event, timeout: waits.append(timeout))
    thread.run()
    assert (thread.rounds, waits) == (1, [0.0] * (MAX_RESTARTS + 1) + [threads.RESTART_WINDOW_S] * 2)


def test_step_without_end_is_stuck_after_its_limit_and_well_again_after_progress(
    new_thread: Callable[..., SupervisedThread], clock: ManualClock
) -> None:
    inside, end = threading.Event(), threading.Event()

    def step() -> float | None:
        inside.set()
        assert end.wait(LIMIT_S)
        return None

    thread = new_thread(step)
    thread.start()
    assert inside.wait(LIMIT_S)
    clock.now_ns += ns(59)
    assert threads.troubles() == []
    clock.now_ns += ns(2)
    assert [(one.thread, one.kind) for one in threads.troubles()] == [("behaviour", "stuck")]
    thread.progress()
    assert threads.troubles() == []
    end.set()


def test_step_that_lasts_long_is_well_again_while_it_gets_on(new_thread: Callable[..., SupervisedThread]) -> None:
    inside, end, failed = threading.Event(), threading.Event(), list[None]()

    def step() -> float | None:
        if not failed:
            failed.append(None)
            raise ValueError("once")
        inside.set()
        assert end.wait(LIMIT_S)
        return None

    thread = new_thread(step)
    thread.start()
    assert inside.wait(LIMIT_S)
    assert [one.kind for one in threads.troubles()] == ["failing"]
    thread.progress()
    assert threads.troubles() == []
    end.set()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_thread_ended_by_an_uncaught_exception_is_dead(new_thread: Callable[..., SupervisedThread]) -> None:
    def step() -> float | None:
        raise SystemExit

    thread = new_thread(step)
    thread.start()
    assert thread.join(LIMIT_S)
    assert [(one.thread, one.kind) for one in threads.troubles()] == [("behaviour", "dead")]


def test_wake_ends_a_wait_and_stop_ends_the_thread() -> None:
    rounds = threading.Semaphore(0)

    def step() -> float | None:
        rounds.release()
        return 3600.0

    thread = SupervisedThread("behaviour", step)
    thread.start()
    for _ in range(3):
        assert rounds.acquire(timeout=LIMIT_S)
        thread.wake()
    thread.stop()
    assert thread.join(LIMIT_S)
    assert threads.troubles() == []


def test_no_thread_of_the_daemon_is_started_elsewhere() -> None:
    """These belong to commands that are no daemon, or end a request that takes too long."""
    own = {"runtime/threads.py", "hardware_report/probe.py"}
    own |= {"mqtt/subscribe.py", "device/doctor_camera.py", "device/prometheus.py"}
    root = Path(edged.__file__).parent
    starts = re.compile(r"threading\.(Thread|Timer)\(|\((threading\.)?Thread\)")
    found = {str(file.relative_to(root)) for file in root.rglob("*.py") if starts.search(file.read_text())}
    assert found <= own
