"""A GPU that appears after the start is used, and reported missing until then."""

from __future__ import annotations

import threading

import pytest

from edged.device import gpu_wait
from edged.device.gpu_wait import GpuWait, gpu_missing
from edged.errors import Fatal
from edged.runtime import threads
from engines.machine import Machine
from tests.support.waiting import until

LIMIT_S = 20.0


@pytest.mark.parametrize(
    ("here", "missing"),
    [
        pytest.param(Machine(gpu="Orin", l4t="36.4.3"), False, id="a Jetson with its GPU"),
        pytest.param(Machine(l4t="36.4.3"), True, id="a Jetson without"),
        pytest.param(Machine(), False, id="a machine that never had one"),
    ],
)
def test_gpu_is_missing_only_where_one_is_expected(
    monkeypatch: pytest.MonkeyPatch, here: Machine, missing: bool
) -> None:
    monkeypatch.setattr(gpu_wait, "find_spec", lambda name: None)
    assert gpu_missing(here) is missing


def test_gpu_is_missing_where_tensorrt_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_wait, "find_spec", lambda name: object())
    assert gpu_missing(Machine())


def test_gpu_that_answers_later_ends_the_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_wait, "BACKOFF_MAX_S", 0.01)
    answers = iter(["", "", "Orin"])
    asked = threading.Event()
    wait = GpuWait(lambda: next(answers) if asked.is_set() else "")
    wait.start()
    assert wait.waiting
    asked.set()
    until(lambda: not wait.waiting, LIMIT_S)
    with pytest.raises(Fatal):
        until(threads.raise_fatal, LIMIT_S)
    wait.close()


def test_probe_on_a_machine_without_gpu_is_empty() -> None:
    assert gpu_wait.probe_gpu() == ""
