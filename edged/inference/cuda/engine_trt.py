"""TensorRT engines, with one execution context per batch size. Not run on hardware yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edged.errors import ModelFault
from edged.inference.cuda.context import Gpu
from edged.inference.cuda.engine import EngineTensors
from engines.bindings import find, logger
from engines.card import Card
from engines.errors import PlanRefused
from engines.prepare.model import PreparedModel


class TrtEngine:
    """A serialized engine: an `Engine`. Contexts keep their profile and shape, so that captured work stays valid."""

    capturable = True

    def __init__(
        self, gpu: Gpu, card: Card, plan: bytes, model: PreparedModel, profiles: Sequence[tuple[int, int, int]]
    ) -> None:
        """Raises `PlanRefused` when TensorRT does not take the plan."""
        self.card = card
        self._gpu = gpu
        api = find("tensorrt").api
        self._log_lines: list[str] = []
        self._runtime = api.Runtime(logger(api, self._log_lines))
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            raise PlanRefused(f"engine of {card.name}: TensorRT refuses it: {self._last_messages}")
        self.batches = tuple(most for _, _, most in profiles) or (1,)
        self._tensors = EngineTensors(gpu, model, self.batches[-1])
        self.input, self.outputs = self._tensors.input, self._tensors.outputs
        self._contexts = {batch: self._context(batch, place) for place, batch in enumerate(self.batches)}

    def enqueue(self, batch: int) -> None:
        if not self._contexts[batch].execute_async_v3(self._gpu.stream.handle):
            raise ModelFault(f"model {self.card.name}: TensorRT did not run it: {self._last_messages}")

    def close(self) -> None:
        """TensorRT's objects go before the memory that they point into."""
        self._contexts.clear()
        del self._engine, self._runtime
        self._tensors.free()

    def _context(self, batch: int, profile: int) -> Any:
        run = self._engine.create_execution_context()
        if run is None:
            raise PlanRefused(
                f"engine of {self.card.name}: no room on the GPU for batch {batch}: {self._last_messages}"
            )
        if len(self.batches) > 1:
            run.set_optimization_profile_async(profile, self._gpu.stream.handle)
        run.set_input_shape(self.input.name, (batch, *self.input.shape[1:]))
        for tensor in self._tensors.all:
            run.set_tensor_address(tensor.name, tensor.memory.address)
        return run

    @property
    def _last_messages(self) -> str:
        return "; ".join(self._log_lines[-2:])
