"""A GPU that should be here and does not answer yet: looked for until it does, and said to be missing meanwhile.

Upstream: whether TensorRT is installed, or this is a Jetson. Downstream: the daemon, which ends to be started again
with it, and health. Asked in a process of its own: a driver that has once said no may go on saying it to who asked.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Callable
from importlib.util import find_spec

from edged.capture.worker import Backoff
from engines import machine

log = logging.getLogger(__name__)

BACKOFF_MAX_S = 120.0  # between two looks
PROBE_TIMEOUT_S = 30.0  # a driver may hang
PROBE_CODE = "from engines.machine import here; print(here().gpu or '')"


def gpu_missing(here: machine.Machine) -> bool:
    """Whether a GPU is to be expected, and there is none."""
    return here.gpu is None and (here.l4t is not None or find_spec("tensorrt") is not None)


def probe_gpu() -> str:
    """The name of the GPU; empty when there is none yet."""
    try:
        asked = subprocess.run(  # noqa: S603
            [sys.executable, "-c", PROBE_CODE], capture_output=True, text=True, check=False, timeout=PROBE_TIMEOUT_S
        )
    except (subprocess.TimeoutExpired, OSError):
        return ""
    return asked.stdout.strip()


class GpuWait:
    """`seen` is called once, from a thread of ours, with the GPU's name."""

    def __init__(self, on_found: Callable[[str], None], probe: Callable[[], str] = probe_gpu) -> None:
        self._on_found = on_found
        self._probe = probe
        self._backoff = Backoff(BACKOFF_MAX_S)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="late-gpu", daemon=True)

    def start(self) -> None:
        log.error("no GPU answers; models run on the CPU until one does")
        self._thread.start()

    @property
    def waiting(self) -> bool:
        return self._thread.is_alive()

    def close(self) -> None:
        """Not waited for: it holds nothing."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.wait(self._backoff.next_s()):
            if name := self._probe():
                self._on_found(name)
                return
