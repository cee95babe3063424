"""A GPU whose node appears late is taken up, and missed meanwhile."""

from __future__ import annotations

import pytest

from edged.device import gpu_wait
from edged.device.gpu_wait import GpuWait, gpu_missing
from edged.errors import Fatal
from edged.runtime import threads
from engines.machine import Machine
from tests.system.conftest import until

LIMIT_S = 20.0


@pytest.mark.parametrize(
    ("here", "missed"),
    [
        pytest.param(Machine(gpu="Orin", l4t="36.4.3"), False, id="a Jetson with its GPU"),
        pytest.param(Machine(l4t="36.4.3"), True, id="a Jetson without"),
        pytest.param(Machine(), False, id="a machine that never had one"),
    ],
)
def test_a_gpu_is_missed_where_one_belongs(monkeypatch: pytest.MonkeyPatch, here: Machine, missed: bool) -> None:
    monkeypatch.setattr(gpu_wait, "find_spec", lambda name: None)
    assert gpu_missing(here) is missed


def test_a_gpu_is_missed_where_tensorrt_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_wait, "find_spec", lambda name: object())
    assert gpu_missing(Machine())


def test_gpu_that_answers_at_last_ends_the_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_wait, "BACKOFF_MAX_S", 0.01)
    answers = iter(["", "", "Orin"])
    late = GpuWait(lambda: next(answers))
    late.start()
    assert late.waiting
    until(lambda: not late.waiting, LIMIT_S)
    with pytest.raises(Fatal):
        until(threads.raise_fatal, LIMIT_S)
    late.close()


def test_a_machine_without_one_answers_nothing() -> None:
    assert gpu_wait.probe_gpu() == ""
