"""The table of cameras that `edged run` and `edged watch` show."""

from __future__ import annotations

from rich.table import Table


def camera_table(rate: str) -> Table:
    """An empty table of cameras: name, state, `rate`, latency in ms, and what is seen."""
    table = Table(expand=True, pad_edge=False, box=None, header_style="bold")
    for name in ("camera", "state"):
        table.add_column(name, no_wrap=True)
    for name in (rate, "ms"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("sees", ratio=1, overflow="fold")
    return table
