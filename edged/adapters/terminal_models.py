"""How `edged models` looks in a terminal: a table, and a bar per download. Runs in the command's own thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table

PIPE_COLUMNS = 200  # width where nobody's terminal sets one, so that grep finds whole lines


class Bytes(Protocol):
    """Told how far a download is."""

    def __call__(self, done: int, total: int | None, /) -> None: ...


def show(columns: Sequence[str], rows: Sequence[Mapping[str, object]]) -> None:
    """Print these keys of every row; a row may lack some."""
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
def bars() -> Iterator[Callable[[str], Bytes]]:
    """One bar per download, on stderr; nothing is drawn where that is not a terminal."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        *(DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:

        def bar(name: str) -> Bytes:
            task = progress.add_task(name, total=None)
            return lambda done, total: progress.update(task, completed=done, total=total)

        yield bar
