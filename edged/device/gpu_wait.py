"""Waits for a GPU that should be here and does not answer yet.

Downstream: `health`, which reports it as missing, and the daemon, which ends once it answers, to be started again with
it. Each probe is a process of its own: a CUDA driver that failed once in a process may fail for its whole life.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from importlib.util import find_spec

from edged.errors import Fatal
from edged.runtime.backoff import Backoff
from edged.runtime.threads import SupervisedThread
from engines import machine
from engines.child_process import run_child

log = logging.getLogger(__name__)

BACKOFF_MAX_S = 120.0  # longest wait between two probes
PROBE_TIMEOUT_S = 30.0  # a driver may hang
PROBE_CODE = "from engines.machine import detect; print(detect().gpu or '')"


def gpu_missing(here: machine.Machine) -> bool:
    """Whether a GPU is expected (Jetson, or TensorRT is installed), and there is none."""
    return here.gpu is None and (here.l4t is not None or find_spec("tensorrt") is not None)


def probe_gpu() -> str:
    """The name of the GPU; empty when there is none yet."""
    try:
        probe = run_child([sys.executable, "-c", PROBE_CODE], timeout_s=PROBE_TIMEOUT_S)
    except OSError:  # no memory for a process
        return ""
    return "" if probe.timed_out else probe.stdout.strip()


class GpuWait:
    """Probes until the GPU answers, and then ends the daemon by a Fatal in its thread."""

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
        """Without a join: the thread holds nothing."""
        self._thread.stop()

    def _step(self) -> float:
        """Raises Fatal when there is a GPU."""
        if name := self._probe():
            self.waiting = False
            raise Fatal(f"{name} answers now; the daemon ends, to be started again with it")
        return self._backoff.next_s()
