"""The GPU's context: the end of a process, waiting, graphs, memory."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from edged.inference.cuda.context import Gpu
from edged.inference.cuda.memory import DeviceBuffer, MappedArray
from tests.cuda.emulated import EMULATED
from tests.cuda.emulation import ROOT


@pytest.mark.parametrize(("end", "code"), [("sigterm", 0), ("exception", 1), ("lost", 4)])
def test_process_ends_without_abort(library: Path, end: str, code: int) -> None:
    if end == "lost" and not EMULATED:
        pytest.skip("only the emulated GPU can be lost on demand")
    guest = [sys.executable, "-W", "error", "-m", "tests.cuda.guest_exit", str(library), end]
    done = subprocess.run(guest, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code, done.stderr
    assert "not empty" not in done.stderr, "pycuda aborts when a context is left on its stack"
    assert ("as any bug would" in done.stderr) == (end == "exception")
    assert ("restart the daemon" in done.stdout) == (end == "lost")


def test_driver_is_loaded_on_demand(library: Path) -> None:
    opens = [sys.executable, "-W", "error", "-c", "from edged.inference.cuda.context import Gpu; Gpu().close()"]
    found = os.environ if not EMULATED else {**os.environ, "LD_LIBRARY_PATH": str(library.parent)}
    done = subprocess.run(opens, cwd=ROOT, env=found, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_mapped_array_is_shared_with_gpu(gpu: Gpu) -> None:
    mapped, buffer = MappedArray(gpu, (3, 2), np.float32), DeviceBuffer(gpu, 24)
    mapped.host[:] = [[1, 2], [3, 4], [5, 6]]
    gpu.cuda.memcpy_htod_async(buffer.address, mapped.host, gpu.stream)
    out = np.zeros((3, 2), np.float32)
    gpu.wait()
    gpu.cuda.memcpy_dtoh(out, buffer.address)
    assert out.tolist() == mapped.host.tolist()
    mapped.free()
    buffer.free()


def test_other_threads_run_during_wait(gpu: Gpu) -> None:
    turns, over = [], threading.Event()

    def other() -> None:
        while not over.wait(0.0005):
            turns.append(1)

    thread = threading.Thread(target=other)
    thread.start()
    for _ in range(100):
        gpu.wait()
    over.set()
    thread.join()
    assert turns


def test_refused_capture_is_none_and_stream_works(gpu: Gpu) -> None:
    buffer, out = DeviceBuffer(gpu, 4), np.zeros(1, np.int32)
    assert gpu.capture(gpu.stream.synchronize) is None
    gpu.cuda.memset_d32_async(buffer.address, 7, 1, gpu.stream)
    gpu.wait()
    gpu.cuda.memcpy_dtoh(out, buffer.address)
    assert out[0] == 7
    buffer.free()


def test_graph_works_at_launch_not_at_capture(gpu: Gpu) -> None:
    buffer, out = DeviceBuffer(gpu, 4), np.zeros(1, np.int32)
    graph = gpu.capture(lambda: gpu.cuda.memset_d32_async(buffer.address, 9, 1, gpu.stream))
    assert graph is not None
    for value, launches in ((0, False), (9, True), (0, False), (9, True)):
        if launches:
            graph.launch()
        else:
            gpu.cuda.memset_d32_async(buffer.address, 0, 1, gpu.stream)
        gpu.wait()
        gpu.cuda.memcpy_dtoh(out, buffer.address)
        assert out[0] == value
    graph.free()
    buffer.free()


def test_buffer_is_freed_while_stream_writes(gpu: Gpu) -> None:
    """As when opening the next engine fails: CUDA frees it when the stream is done."""
    for _ in range(3):
        DeviceBuffer(gpu, 1 << 27).free()
    gpu.wait()
