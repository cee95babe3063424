"""Whether the GPU is emulated, and what tests ask of the emulated driver."""

from __future__ import annotations

import ctypes

from edged.inference.cuda.kernels import compiled_kernels
from engines import machine

EMULATED = machine.detect().gpu is None  # asked before the emulated one is there
IMAGE = b"the emulated driver has the kernels compiled in" if EMULATED else compiled_kernels() or b""


class Emulated:
    """What tests ask of the emulated driver."""

    def __init__(self, driver: ctypes.CDLL) -> None:
        self._driver = driver
        self.lose = driver.emulated_loss  # every call fails from then on, as after a fault of the GPU; 0: no more
        self.refuse_capture = driver.emulated_refusal

    def __call__(self, what: str) -> int:
        """How often something was called, or how much of it is left."""
        return int(self._driver.emulated(what.encode()))

    def size(self, struct: str) -> int:
        return int(self._driver.emulated_size(struct.encode()))
