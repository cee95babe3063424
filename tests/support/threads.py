"""A daemon whose loop runs beside the test."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from edged.daemon import Daemon

LIMIT_S = 60.0


@contextmanager
def running(made: Daemon) -> Iterator[None]:
    stop = threading.Event()
    loop = threading.Thread(target=made.run, args=(stop,), daemon=True)
    loop.start()
    try:
        yield
    finally:
        stop.set()
        loop.join(LIMIT_S)
        assert not loop.is_alive(), "the loop does not stop"
