"""A GPU that should be here and does not answer yet: looked for until it does, and said to be missing meanwhile.

Upstream: whether TensorRT is installed, or this is a Jetson. Downstream: the daemon, which ends to be started again
with it, and health. Asked in a process of its own: a driver that has once said no may go on saying it to who asked.
"""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec

from edged.errors import Fatal
from edged.runtime.backoff import Backoff
from edged.runtime.threads import SupervisedThread
from engines import machine

log = logging.getLogger(__name__)

BACKOFF_MAX_S = 120.0  # between two looks
PROBE_TIMEOUT_S = 30.0  # a driver may hang
PROBE_CODE = "from engines.machine import detect; print(detect().gpu or '')"


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
    """Ends the daemon, to be started again, once the GPU answers."""

    def __init__(self, probe: Callable[[], str] = probe_gpu) -> None:
        self.waiting = False
        self._probe = probe
        self._backoff = Backoff(BACKOFF_MAX_S)
        self._thread = SupervisedThread("gpu-wait", self._step, first_s=self._backoff.next_s())

    def start(self) -> None:
        log.error("no GPU answers; models run on the CPU until one does")
        self.waiting = True
        self._thread.start()

    def close(self) -> None:
        """Not waited for: it holds nothing."""
        self._thread.stop()

    def _step(self) -> float:
        """Raises Fatal when there is a GPU."""
        if name := self._probe():
            self.waiting = False
            raise Fatal(f"{name} answers now; the daemon ends, to be started again with it")
        return self._backoff.next_s()
