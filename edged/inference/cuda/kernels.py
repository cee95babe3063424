"""The compiled kernels and their signatures. `make kernels` compiles kernels.cu; at run time no compiler is needed."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from edged.errors import DeviceLost
from edged.inference.cuda.context import Gpu

FILE = "kernels.fatbin"
# Signatures in the format of Python's struct: P an address, i an int.
UNTYPED = {
    "copy": "PPi",
    "image_quality": "PPPP",
    "rank": "PPP",
    "nms": "PPPP",
    "select_detections": "PPPPP",
}
TYPED = {  # one kernel for FP16 tensors, NAME_f16, and one for FP32, NAME_f32
    "letterbox": "PPPP",
    "rtmdet": "PPPP",
    "yolox": "PPPP",
    "yolov8": "PPPP",
    "boxes": "PPPP",
    "crop": "PPPPPiP",
    "simcc": "PPPPPiPPP",
    "soft_argmax": "PPP",
}
SIGNATURES = UNTYPED | {f"{name}{kind}": signature for name, signature in TYPED.items() for kind in ("_f16", "_f32")}


def compiled_kernels() -> bytes | None:
    """The kernels' code for every GPU that we compile for; None: this package was built without nvcc."""
    file = files("edged") / "inference" / "cuda" / FILE
    return file.read_bytes() if file.is_file() else None


class Kernels:
    """The loaded kernels by name. Raises `DeviceLost` when `image` has no code for this GPU."""

    def __init__(self, gpu: Gpu, image: bytes) -> None:
        self._stream = gpu.stream
        try:
            self._module = gpu.cuda.module_from_buffer(image)
        except gpu.cuda.Error as exc:
            sm = "{}.{}".format(*gpu.device.compute_capability())
            raise DeviceLost(f"the CUDA kernels have no code for this GPU ({gpu.device.name()}, {sm}): {exc}") from exc
        self._functions = {name: self._function(name) for name in SIGNATURES}

    def __call__(self, name: str, grid: tuple[int, ...], block: tuple[int, ...], *arguments: int) -> None:
        """Enqueues a kernel; `grid` and `block` have one to three axes."""
        self._functions[name].prepared_async_call((*grid, 1, 1)[:3], (*block, 1, 1)[:3], self._stream, *arguments)

    def free(self) -> None:
        self._functions.clear()
        del self._module

    def _function(self, name: str) -> Any:
        function = self._module.get_function(name)
        function.prepare(SIGNATURES[name])
        return function
