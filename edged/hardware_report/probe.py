"""What a probe is and what it returns: measured figures, or the reason why this machine has none."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edged.config.tree import Config
from edged.errors import EdgedError

Value = float | int | str | bool | None
RowState = Literal["measured", "failed", "not possible here"]


class NotPossible(EdgedError):
    """This machine cannot measure it; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRow:
    """One line of the report: the figures of one model, camera or part, or why there are none."""

    subject: str
    figures: Mapping[str, Value]
    state: RowState = "measured"
    why: str = ""  # empty when measured without a fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What is measured, and for how long."""

    settings: Config
    folder: Path  # shared by the probes of one report: the engines they build
    seconds: float  # of each measurement over time
    flavour: Literal["tensorrt", "tensorrt-rtx"]  # which TensorRT builds


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One question of the report. `run` yields its rows; an exception becomes a row. Runs in a process of its own."""

    name: str
    question: str
    run: Callable[[Bench], Iterator[ReportRow]]
    support_row: str = ""  # begin of the README's support row that it decides; empty: none
    subject_part: str = ""  # text in the subjects of the rows that decide it; empty: all do
    timeout_s: float = 300.0  # in addition to `Bench.seconds`


def not_possible(subject: str, why: str) -> ReportRow:
    return ReportRow(subject=subject, figures={}, state="not possible here", why=why)


def failed(subject: str, why: str, **figures: Value) -> ReportRow:
    return ReportRow(subject=subject, figures=figures, state="failed", why=why)


class Sampling:
    """Calls `sample` every `period_s` in a thread, inside the block. Leaving it raises the error of `sample`."""

    def __init__(self, sample: Callable[[], None], period_s: float) -> None:
        self._sample, self._period_s = sample, period_s
        self._stop = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Sampling:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            while not self._stop.wait(self._period_s):
                self._sample()
        except Exception as error:  # the thread's supervisor: raised again where the block ends
            self._error = error
