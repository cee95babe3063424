"""Whether the CUDA plane can be had here, and having it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from importlib.util import find_spec

from edged.inference.cuda.backend import CudaBackend
from edged.inference.cuda.context import Gpu
from edged.inference.cuda.engine import Engine
from edged.inference.cuda.kernels import compiled_kernels
from edged.inference.pose3d.lifter import Lifter
from engines import machine

EngineFactory = Callable[[Gpu], Engine]


def unavailable_reason() -> str | None:
    """What this machine lacks for the CUDA plane, and what to do about it; None: nothing."""
    if machine.detect().gpu is None:
        return "no GPU answers; `edged doctor` tells more"
    if find_spec("pycuda") is None:
        return "pycuda is not installed; pip install 'edged[jetson]'"
    if compiled_kernels() is None:
        return "this package was made without CUDA kernels; `make kernels` on a machine with nvcc makes them"
    return None


def open_backend(
    detector: EngineFactory,
    poses: Mapping[str, EngineFactory],
    lift: tuple[EngineFactory, EngineFactory | None] | None = None,
    lifter: Lifter | None = None,
    *,
    graphs: bool = True,
) -> CudaBackend:
    """The plane, on the GPU of the thread that calls.

    Raises `PlanRefused`, `ModelMissing`, `CardError` and `DeviceLost`, and leaves nothing behind then.
    """
    image = compiled_kernels()
    assert image is not None  # noqa: S101  # `missing` has been asked
    with ExitStack() as made:
        gpu = Gpu()
        made.callback(gpu.close)

        def engine(make: EngineFactory) -> Engine:
            one = make(gpu)
            made.callback(one.close)
            return one

        eye = engine(detector)
        others = {label: engine(make) for label, make in poses.items()}
        deep = (engine(lift[0]), engine(lift[1]) if lift[1] else None) if lift else None
        plane = CudaBackend(gpu, eye, others, image, lift=deep, lifter=lifter, graphs=graphs)
        made.pop_all()  # they are the plane's now
    return plane
