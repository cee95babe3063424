"""A process with a CUDA backend that ends in the way its argument names, in the order in which `edged` closes."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

from tests.cuda.emulation import load

driver = load(Path(sys.argv[1]))

from edged.capture.frame_buffer import FrameBuffer  # noqa: E402
from edged.errors import DeviceLost  # noqa: E402
from edged.inference.cuda.context import Gpu  # noqa: E402  (after the driver)
from edged.inference.cuda.memory import DeviceBuffer, FrameMapper, MappedArray  # noqa: E402

END = sys.argv[2]


def work(gpu: Gpu, stop: threading.Event) -> None:
    while not stop.is_set():
        gpu.wait()
        if END == "exception":
            raise ValueError("as any bug would")
        if END == "lost":
            driver.emulated_loss(1)
        if END == "sigterm":
            os.kill(os.getpid(), signal.SIGTERM)


def main() -> int:
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    gpu = Gpu()
    frames, buffer, mapped = FrameMapper(gpu), DeviceBuffer(gpu, 100), MappedArray(gpu, (4,), "f4")
    frames.map_frame(FrameBuffer("a").reallocate((64, 64, 3)), "a")
    try:
        with gpu.translate_errors():
            work(gpu, stop)
    except DeviceLost as lost:
        sys.stdout.write(str(lost))
        return 4
    finally:
        frames.free()
        buffer.free()
        mapped.free()
        gpu.close()
    return 0


sys.exit(main())
