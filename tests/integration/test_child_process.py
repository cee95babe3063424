"""A command in a process of its own, with a limit."""

from __future__ import annotations

import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from engines.child_process import Ended, run_child
from tests.support.waiting import until

LIMIT_S = 20.0


def python(code: str, **options: object) -> Ended:
    return run_child([sys.executable, "-u", "-c", code], **options)  # type: ignore[arg-type]


def test_process_that_ends_well_gives_both_streams_and_its_code() -> None:
    ended = python("import sys; print(input()); print('warned', file=sys.stderr); sys.exit(3)", text="asked")
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, "asked\n", "warned\n")
    assert (ended.timed_out, ended.last_line) == (False, "warned")


def test_hanging_process_is_killed_with_its_children() -> None:
    code = "import subprocess, time; print(subprocess.Popen(['sleep', '600']).pid); time.sleep(600)"
    started_s = time.monotonic()
    ended = python(code, timeout_s=2.0)
    assert (ended.timed_out, ended.returncode) == (True, -signal.SIGKILL)
    assert time.monotonic() - started_s < LIMIT_S
    grandchild = int(ended.stdout)
    until(lambda: _is_dead(grandchild))


def _is_dead(pid: int) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    return True


def test_lines_come_while_the_process_runs() -> None:
    seen: list[str] = []
    go = threading.Event()

    def on_line(line: str) -> None:
        seen.append(line)
        go.set()  # ends it: nothing else would

    ended = python("import time; print('half ', end=''); print('done'); time.sleep(600)", on_line=on_line, stop=go)
    assert (seen, ended.returncode) == (["half done"], -signal.SIGTERM)


@pytest.mark.parametrize(("ignores", "by"), [(False, signal.SIGTERM), (True, signal.SIGKILL)])
def test_process_that_ignores_stop_is_killed(ignores: bool, by: signal.Signals) -> None:
    stop = threading.Event()
    ignore = "signal.signal(signal.SIGTERM, signal.SIG_IGN); " if ignores else ""
    code = f"import signal, time; {ignore}print('ready'); time.sleep(600)"
    ended = python(code, on_line=lambda line: stop.set(), stop=stop, terminate_timeout_s=0.5)
    assert ended.returncode == -by


def test_exception_of_the_caller_leaves_no_process() -> None:
    pids: list[int] = []

    def on_line(line: str) -> None:
        pids.append(int(line))
        raise KeyError

    with pytest.raises(KeyError):
        python("import os, time; print(os.getpid()); time.sleep(600)", on_line=on_line)
    assert not psutil.pid_exists(pids[0])


def test_log_has_both_streams_in_their_order(tmp_path: Path) -> None:
    log = tmp_path / "log"
    ended = python("import sys; print('one'); print('two', file=sys.stderr); print('three')", log=log)
    assert log.read_text() == ended.stdout == "one\ntwo\nthree\n"
    assert ended.last_line == "three"
