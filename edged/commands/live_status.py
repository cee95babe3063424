"""Shows what `edged run` does, as is fit for where its output goes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TextIO

from edged.commands.views import LineWriter, LiveStatus


def live(status: Callable[[], LiveStatus], out: TextIO | None = None) -> AbstractContextManager[object]:
    """Show `status` while the block runs: a table on a terminal, a line per camera every five seconds elsewhere."""
    out = out or sys.stdout
    if not (out.isatty() or os.environ.get("FORCE_COLOR")):
        return LineWriter(status, out)
    from edged.commands.live_table import live_table  # noqa: PLC0415  (its library is not loaded by a service)

    return live_table(status, out)
