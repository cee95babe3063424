"""The GPU for one thread: the primary context, one stream, one way to wait for it, and CUDA graphs.

pycuda has no CUDA graphs; those are calls to the driver. The thread that makes a `Gpu` is the only one to use it, and
closes it last: a context that is left on pycuda's stack aborts the process at its end.
"""

from __future__ import annotations

import atexit
import ctypes
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any

from edged.errors import DeviceLost, ModelFault

log = logging.getLogger(__name__)

# Source: cuda.h
SCHED_BLOCKING_SYNC = 4  # CUctx_flags: a waiting thread sleeps
NON_BLOCKING = 1  # CUstream_flags: never waits for the default stream
THREAD_LOCAL = 1  # CUstreamCaptureMode: calls of other threads do not end the capture


class _PrimaryContext(threading.local):
    """The primary context on this thread's stack: pushed for the first user, popped after the last."""

    users = 0
    context: Any = None

    def enter(self, device: Any) -> None:
        if not self.users:
            self.context = device.retain_primary_context()
            self.context.push()
        self.users += 1

    def leave(self) -> None:
        self.users -= 1
        if not self.users:
            self.context.pop()
            self.context.detach()
            self.context = None


_primary = _PrimaryContext()


class Gpu:
    """Owned: `close` it. Raises `DeviceLost` when CUDA does not answer, `ImportError` without pycuda."""

    def __init__(self) -> None:
        # Loaded before pycuda and globally: a pycuda that was built without a driver does not name the library.
        self._driver = ctypes.CDLL("libcuda.so.1", ctypes.RTLD_GLOBAL)
        self.cuda: Any = import_module("pycuda.driver")
        with self.translate_errors():
            self.cuda.init()
            self.driver_status("cuDevicePrimaryCtxSetFlags_v2", 0, SCHED_BLOCKING_SYNC)
            self.device = self.cuda.Device(0)
            _primary.enter(self.device)
            self.stream = self.cuda.Stream(NON_BLOCKING)
            flags = self.cuda.event_flags
            self._done = self.cuda.Event(flags.BLOCKING_SYNC | flags.DISABLE_TIMING)
        atexit.register(self.close)  # else pycuda aborts the process

    @contextmanager
    def translate_errors(self) -> Iterator[None]:
        """Turns CUDA's errors into `DeviceLost`: they last for the process, so the daemon must be restarted."""
        try:
            yield
        except self.cuda.Error as exc:
            raise DeviceLost(f"CUDA: {exc}; restart the daemon") from exc

    def wait(self) -> None:
        """Sleeps until all work on the stream is done; other threads run meanwhile."""
        self._done.record(self.stream)
        self._done.synchronize()

    def driver_status(self, function: str, *arguments: Any) -> int:
        """The CUresult of a driver function; 0 is success."""
        return int(getattr(self._driver, function)(*arguments))

    def driver_call(self, function: str, *arguments: Any) -> None:
        """Calls a driver function. Raises `DeviceLost` unless it succeeds."""
        if failed := self.driver_status(function, *arguments):
            raise DeviceLost(f"CUDA: {function} failed ({failed}); restart the daemon")

    def capture(self, enqueue: Callable[[], None]) -> Graph | None:
        """The work of `enqueue` as a graph, not launched yet; None when CUDA refuses to capture it."""
        stream, graph, executable = ctypes.c_void_p(self.stream.handle), ctypes.c_void_p(), ctypes.c_void_p()
        if self.driver_status("cuStreamBeginCapture_v2", stream, THREAD_LOCAL):
            return None
        refused = False
        try:
            enqueue()
        except (self.cuda.Error, ModelFault) as exc:
            log.info("CUDA graph: %s", exc)
            refused = True
        refused |= bool(self.driver_status("cuStreamEndCapture", stream, ctypes.byref(graph)) or not graph)
        if not refused:
            nothing = ctypes.c_ulonglong(0)
            refused = bool(self.driver_status("cuGraphInstantiateWithFlags", ctypes.byref(executable), graph, nothing))
        if graph:
            self.driver_status("cuGraphDestroy", graph)
        return None if refused else Graph(self, executable)

    def close(self) -> None:
        """Call it after all that was made on this GPU is freed; also when the GPU is lost. Twice does no harm."""
        atexit.unregister(self.close)
        if not hasattr(self, "stream"):
            return
        with suppress(self.cuda.Error):
            self.stream.synchronize()
        del self._done, self.stream
        _primary.leave()


class Graph:
    """Work that one call puts onto the stream. Owned: `free` it."""

    def __init__(self, gpu: Gpu, executable: ctypes.c_void_p) -> None:
        self._gpu = gpu
        self._executable = executable
        self._stream = ctypes.c_void_p(gpu.stream.handle)

    def launch(self) -> None:
        """Raises `DeviceLost`."""
        self._gpu.driver_call("cuGraphLaunch", self._executable, self._stream)

    def free(self) -> None:
        self._gpu.driver_status("cuGraphExecDestroy", self._executable)
