"""Tables and progress bars of `edged models` and `edged engines`. Thread: the command's own."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table

PIPE_COLUMNS = 200  # width of output that is no terminal, so that grep finds whole lines


class DownloadProgress(Protocol):
    """Called with the progress of a download in bytes."""

    def __call__(self, done: int, total: int | None, /) -> None: ...


class BuildProgress(Protocol):
    """The progress of a build."""

    @property
    def phase(self) -> str: ...
    @property
    def share(self) -> float: ...
    @property
    def left_s(self) -> float | None: ...


def print_rows(args: argparse.Namespace, columns: Sequence[str], rows: Sequence[Mapping[str, object]]) -> int:
    """Print these keys of every row as a table; a missing key is an empty cell. With --json, all. Always 0."""
    if args.json:
        print(json.dumps(rows, indent=2))
    else:
        _print_table(columns, rows)
    return 0


def _print_table(columns: Sequence[str], rows: Sequence[Mapping[str, object]]) -> None:
    console = Console()
    if not console.is_terminal:
        console = Console(width=PIPE_COLUMNS)
    table = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(*(escape(_cell(row.get(column))) for column in columns))
    table.columns[0].no_wrap = True
    console.print(table)


def _cell(value: object) -> str:
    if value is None or value is False:
        return ""
    return "yes" if value is True else str(value)


@contextmanager
def download_bars() -> Iterator[Callable[[str], DownloadProgress]]:
    """One bar per download, on stderr; nothing is drawn where that is not a terminal."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        *(DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:

        def bar(name: str) -> DownloadProgress:
            task = progress.add_task(name, total=None)
            return lambda done, total: progress.update(task, completed=done, total=total)

        yield bar


@contextmanager
def build_bar(name: str, *, quiet: bool) -> Iterator[Callable[[BuildProgress], None]]:
    """A bar for one build, on stderr."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.fields[left]}"))
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal) as progress:
        task = progress.add_task(name, total=1.0, left="")

        def at(built: BuildProgress) -> None:
            left = "" if built.left_s is None else f"{built.left_s:.0f} s left"
            progress.update(task, completed=built.share, description=f"{name}: {built.phase}", left=left)

        yield at
