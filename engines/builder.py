"""One prepared model in, one serialized TensorRT engine out: the same calls for TensorRT 10.3 to 11.

Runs in a process of its own (see `child`), for a build can be killed for memory. What only some versions
have is asked for with hasattr.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from engines.errors import BuildFailed, Cancelled
from engines.key import Options
from engines.progress import Estimate, Progress
from engines.trt import TensorRT, logger

BYTES_PER_MB = 1 << 20
REASONS = 3  # of TensorRT's complaints, shown in an error

OnProgress = Callable[[Progress], None]


class Builder:
    """Builds; `cancel` may be called from any thread and ends a build at its next step."""

    def __init__(self, trt: TensorRT, on_progress: OnProgress, usual_s: float | None = None) -> None:
        self._trt = trt
        self._on_progress = on_progress
        self._usual_s = usual_s
        self._stop = threading.Event()

    def cancel(self) -> None:
        self._stop.set()

    def build(self, model: bytes, precision: str, options: Options, timing: bytes = b"") -> tuple[bytes, bytes]:
        """The engine of a prepared model, and the timing cache grown by it.

        Raises `BuildFailed` with TensorRT's reason, and `Cancelled`.
        """
        api = self._trt.api
        complaints: list[str] = []
        ear = logger(api, complaints)
        builder = api.Builder(ear)
        network = builder.create_network(_flags(api))
        parser = api.OnnxParser(network, ear)
        if not parser.parse(model):
            told = [parser.get_error(i).desc() for i in range(parser.num_errors)]
            raise BuildFailed(f"TensorRT {self._trt.version} cannot read the model: {_joined(told or complaints)}")
        config = builder.create_builder_config()
        self._configure(builder, config, network, precision, options)
        cache = self._with_timings(config, timing)
        config.progress_monitor = _monitor(api, Estimate(self._usual_s), self._on_progress, self._stop)
        plan = builder.build_serialized_network(network, config)
        if self._stop.is_set():
            raise Cancelled("the build was told to stop")
        if plan is None:
            raise BuildFailed(f"TensorRT {self._trt.version} made no engine: {_joined(complaints)}")
        return bytes(plan), bytes(cache.serialize()) if cache is not None else b""

    def _configure(self, builder: Any, config: Any, network: Any, precision: str, options: Options) -> None:
        api = self._trt.api
        config.builder_optimization_level = options.level
        config.max_aux_streams = 0  # one stream: least memory, and simple to capture in a CUDA graph
        config.set_memory_pool_limit(api.MemoryPoolType.WORKSPACE, options.workspace_mb * BYTES_PER_MB)
        if _typed_weakly(api) and precision == "fp16":
            config.set_flag(api.BuilderFlag.FP16)
        for least, best, most in options.profiles:
            profile = builder.create_optimization_profile()
            for i in range(network.num_inputs):
                tensor = network.get_input(i)
                rest = tuple(tensor.shape)[1:]
                profile.set_shape(tensor.name, (least, *rest), (best, *rest), (most, *rest))
            config.add_optimization_profile(profile)

    def _with_timings(self, config: Any, timing: bytes) -> Any:
        """The cache of what TensorRT measured before, in use; None where timing caches mean nothing (RTX)."""
        if self._trt.flavour == "tensorrt-rtx":
            return None
        cache = config.create_timing_cache(timing)
        config.set_timing_cache(cache, False)  # one of another version is refused, and an empty one taken
        return config.get_timing_cache()


def _flags(api: Any) -> int:
    """By symbol: the numbers changed between TensorRT 10 and 11."""
    flags = api.NetworkDefinitionCreationFlag
    return 1 << int(flags.STRONGLY_TYPED) if hasattr(flags, "STRONGLY_TYPED") else 1 << int(flags.EXPLICIT_BATCH)


def _typed_weakly(api: Any) -> bool:
    return not hasattr(api.NetworkDefinitionCreationFlag, "STRONGLY_TYPED")


def _monitor(api: Any, estimate: Estimate, on_progress: OnProgress, stop: threading.Event) -> Any:
    """Called from several of TensorRT's threads; an exception here would cancel the build."""
    lock = threading.Lock()
    begun_s = time.monotonic()

    class Monitor(api.IProgressMonitor):  # type: ignore[misc]  # of a module without types
        def __init__(self) -> None:
            api.IProgressMonitor.__init__(self)

        def phase_start(self, name: str, parent: str | None, steps: int) -> None:
            with lock:
                estimate.start(name, parent, steps)

        def step_complete(self, name: str, step: int) -> bool:
            with lock:
                estimate.step(name, step)
                on_progress(estimate.now(time.monotonic() - begun_s))
            return not stop.is_set()

        def phase_finish(self, name: str) -> None:
            with lock:
                estimate.finish(name)

    return Monitor()


def _joined(complaints: list[str]) -> str:
    return "; ".join(dict.fromkeys(complaints[-REASONS:])) or "it does not say why"
