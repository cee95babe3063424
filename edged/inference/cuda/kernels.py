"""The compiled kernels, and how each is called. `make kernels` compiles edged/inference/cuda/kernels.cu; no compiler is needed."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from edged.errors import DeviceLost
from edged.inference.cuda.context import Gpu

FILE = "kernels.fatbin"
SIGNATURES = {  # P: an address; i: a number
    "copy": "PPi",
    "letterbox": "PPPP",
    "gate": "PPPP",
    "rtmdet": "PPPP",
    "yolox": "PPPP",
    "yolov8": "PPPP",
    "boxes": "PPPP",
    "rank": "PPP",
    "nms": "PPPP",
    "best": "PPPPP",
    "crop": "PPPPPiP",
    "simcc": "PPPPPiPPP",
    "expected": "PPP",
}
TYPED_KERNELS = {
    "letterbox",
    "rtmdet",
    "yolox",
    "yolov8",
    "boxes",
    "crop",
    "simcc",
    "expected",
}  # one for FP16, one for FP32


def compiled_kernels() -> bytes | None:
    """The kernels for every GPU we know; None when this package was made without them."""
    file = files("edged") / "inference" / "cuda" / FILE
    return file.read_bytes() if file.is_file() else None


class Kernels:
    """Raises `DeviceLost` when the GPU takes none of the kernels in `image`."""

    def __init__(self, gpu: Gpu, image: bytes) -> None:
        self._stream = gpu.stream
        try:
            self._module = gpu.cuda.module_from_buffer(image)
        except gpu.cuda.Error as exc:
            sm = "{}.{}".format(*gpu.device.compute_capability())
            raise DeviceLost(f"the CUDA kernels have no code for this GPU ({gpu.device.name()}, {sm}): {exc}") from exc
        self._functions = {name: self._function(name) for name in _names()}

    def __call__(self, name: str, grid: tuple[int, ...], block: tuple[int, ...], *arguments: int) -> None:
        """Put a kernel onto the stream."""
        self._functions[name].prepared_async_call((*grid, 1, 1)[:3], (*block, 1, 1)[:3], self._stream, *arguments)

    def free(self) -> None:
        self._functions.clear()
        del self._module

    def _function(self, name: str) -> Any:
        function = self._module.get_function(name)
        function.prepare(SIGNATURES[name.removesuffix("_f16").removesuffix("_f32")])
        return function


def _names() -> list[str]:
    return [f"{name}{kind}" for name in SIGNATURES for kind in (("_f16", "_f32") if name in TYPED_KERNELS else ("",))]
