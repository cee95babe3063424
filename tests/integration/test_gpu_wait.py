"""A GPU whose node appears late is taken up, and missed meanwhile."""

from __future__ import annotations

import threading

import pytest

from edged.device import gpu_wait
from edged.device.gpu_wait import GpuWait, gpu_missing
from engines.machine import Machine

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


def test_it_is_looked_for_until_it_answers_and_told_once() -> None:
    answers = iter(["", "", "Orin"])
    told: list[str] = []
    there = threading.Event()

    def seen(name: str) -> None:
        told.append(name)
        there.set()

    late = GpuWait(seen, lambda: next(answers))
    late.start()
    assert late.waiting
    assert there.wait(LIMIT_S)
    late.close()
    assert told == ["Orin"]


def test_a_machine_without_one_answers_nothing() -> None:
    assert gpu_wait.probe_gpu() == ""
