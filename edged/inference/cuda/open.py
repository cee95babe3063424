"""Whether the CUDA backend can run here, and opening it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from importlib.util import find_spec

from edged.errors import ModelMissing
from edged.inference.cuda.backend import CudaBackend
from edged.inference.cuda.context import Gpu
from edged.inference.cuda.engine import Engine
from edged.inference.cuda.kernels import compiled_kernels
from edged.inference.pose3d.lifter import Lifter
from engines import machine

NO_KERNELS = "this package was built without CUDA kernels; `make kernels` on a machine with nvcc builds them"

EngineFactory = Callable[[Gpu], Engine]


def unavailable_reason() -> str | None:
    """What this machine lacks for the CUDA backend and what to do; None: nothing."""
    if machine.detect().gpu is None:
        return "no GPU answers; `edged doctor` tells more"
    if find_spec("pycuda") is None:
        return "pycuda is not installed; install edged again, or in a clone: pip install '.[jetson]'"
    if compiled_kernels() is None:
        return NO_KERNELS
    return None


def open_backend(
    detector: EngineFactory,
    poses: Mapping[str, EngineFactory],
    lift: tuple[EngineFactory, EngineFactory | None] | None = None,
    lifter: Lifter | None = None,
    *,
    graphs: bool = True,
) -> CudaBackend:
    """The backend; `poses` by class, `lift` the 3D model and RootNet, `lifter` in their place on the host.

    Raises `PlanRefused`, `ModelMissing`, `CardError` and `DeviceLost`, and frees everything then.
    Thread: the backend belongs to the one that calls.
    """
    image = compiled_kernels()
    if image is None:
        raise ModelMissing(NO_KERNELS)
    with ExitStack() as stack:
        gpu = Gpu()
        stack.callback(gpu.close)

        def engine(factory: EngineFactory) -> Engine:
            made = factory(gpu)
            stack.callback(made.close)
            return made

        detector_engine = engine(detector)
        pose_engines = {label: engine(factory) for label, factory in poses.items()}
        lift_engines = (engine(lift[0]), engine(lift[1]) if lift[1] else None) if lift else None
        backend = CudaBackend(
            gpu, detector_engine, pose_engines, image, lift=lift_engines, lifter=lifter, graphs=graphs
        )
        stack.pop_all()  # the backend owns them now
    return backend
