"""What a probe is, and what it finds: measured figures, or why there are none on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edged.config.tree import Config
from edged.errors import EdgedError

Value = float | int | str | bool | None
RowState = Literal["measured", "failed", "not possible here"]


class NotPossible(EdgedError):
    """This machine cannot show it; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRow:
    """One line of the report: figures of one model, camera or part, or why there are none."""

    subject: str
    figures: Mapping[str, Value]
    state: RowState = "measured"
    why: str = ""  # empty when measured and as it should be


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What is examined, and with how much patience."""

    settings: Config
    folder: Path  # for what probes leave to each other: engines, above all
    seconds: float  # that a measurement over time lasts
    flavour: Literal["tensorrt", "tensorrt-rtx"]  # which TensorRT builds


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """`run` gives its rows as it finds them; what it raises becomes a row too. It is run in a process of its own."""

    name: str
    question: str  # the question, for who reads the report
    support_row: str  # how the row of the README's support table begins that it speaks for; empty: none
    run: Callable[[Bench], Iterator[ReportRow]]
    subject_part: str = ""  # what is in the subjects of the rows that do; empty: all do
    timeout_s: float = 300.0  # on top of what `Bench.seconds` asks for


def not_possible(subject: str, why: str) -> ReportRow:
    return ReportRow(subject=subject, figures={}, state="not possible here", why=why)


def failed(subject: str, why: str, **figures: Value) -> ReportRow:
    return ReportRow(subject=subject, figures=figures, state="failed", why=why)
