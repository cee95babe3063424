"""One prepared model in, one serialized TensorRT engine out: the same calls for TensorRT 10.3 to 11.

Runs in a process of its own (see `child`), for a build can be killed for memory. What only some versions
have is asked for by version or not at all.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from engines.bindings import TensorRT, logger
from engines.build.progress import Estimate, Progress
from engines.errors import BuildFailed, Cancelled
from engines.store.key import BuildOptions
from engines.units import BYTES_PER_MB

log = logging.getLogger(__name__)

STRONG_TYPING_COMPLETE = (10, 12)  # the first TensorRT whose strong typing NVIDIA calls complete
MAX_REASONS = 3  # of TensorRT's messages, shown in an error

OnProgress = Callable[[Progress], None]


class TensorRTBuilder:
    """Builds; `cancel` may be called from any thread and ends a build at its next step."""

    def __init__(self, trt: TensorRT, on_progress: OnProgress, usual_s: float | None = None) -> None:
        self._trt = trt
        self._on_progress = on_progress
        self._usual_s = usual_s
        self._stop = threading.Event()

    def cancel(self) -> None:
        self._stop.set()

    def build(self, model: bytes, precision: str, options: BuildOptions, timing: bytes = b"") -> tuple[bytes, bytes]:
        """The engine of a prepared model, and the timing cache grown by it.

        Typed strongly; where that fails and TensorRT is older than it was made for, typed weakly, with FP16 allowed.
        Raises `BuildFailed` with TensorRT's reason, and `Cancelled`.
        """
        try:
            return self._attempt(model, precision, options, timing, strong=True)
        except Cancelled:
            raise
        except BuildFailed as failure:
            if not _has_weak_typing(self._trt):
                raise
            log.warning("%s; building again, weakly typed", failure)
        return self._attempt(model, precision, options, timing, strong=False)

    def _attempt(
        self, model: bytes, precision: str, options: BuildOptions, timing: bytes, *, strong: bool
    ) -> tuple[bytes, bytes]:
        api = self._trt.api
        messages: list[str] = []
        trt_logger = logger(api, messages)
        builder = api.Builder(trt_logger)
        network = builder.create_network(1 << int(api.NetworkDefinitionCreationFlag.STRONGLY_TYPED) if strong else 0)
        parser = api.OnnxParser(network, trt_logger)
        if not parser.parse(model):
            errors = [parser.get_error(i).desc() for i in range(parser.num_errors)]
            raise BuildFailed(
                f"TensorRT {self._trt.version} cannot read the model: {_join_messages(errors or messages)}"
            )
        config = builder.create_builder_config()
        self._configure(builder, config, network, options)
        if precision == "fp16" and not strong:
            config.set_flag(api.BuilderFlag.FP16)
        cache = self._with_timings(config, timing)
        config.progress_monitor = _monitor(api, Estimate(self._usual_s), self._on_progress, self._stop)
        plan = builder.build_serialized_network(network, config)
        if self._stop.is_set():
            raise Cancelled("the build was cancelled")
        if plan is None:
            raise BuildFailed(f"TensorRT {self._trt.version} made no engine: {_join_messages(messages)}")
        return bytes(plan), bytes(cache.serialize()) if cache is not None else b""

    def _configure(self, builder: Any, config: Any, network: Any, options: BuildOptions) -> None:
        api = self._trt.api
        config.builder_optimization_level = options.level
        config.max_aux_streams = 0  # one stream: least memory, and simple to capture in a CUDA graph
        config.set_memory_pool_limit(api.MemoryPoolType.WORKSPACE, options.workspace_mb * BYTES_PER_MB)
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


def _has_weak_typing(trt: TensorRT) -> bool:
    """Strong typing is there since 10.0 and complete since 10.12; 11 knows nothing else."""
    return trt.flavour == "tensorrt" and tuple(map(int, trt.version.split(".")[:2])) < STRONG_TYPING_COMPLETE


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


def _join_messages(messages: list[str]) -> str:
    return "; ".join(dict.fromkeys(messages[-MAX_REASONS:])) or "without a reason"
