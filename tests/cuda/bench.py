"""What tests of single kernels need: arrays to the GPU and back, and the parameters of a frame."""

from __future__ import annotations

from typing import Any

import numpy as np

from edged.frame import F32, U8, PixelFormat, image_size
from edged.inference.colour import PIXEL_FORMATS
from edged.inference.cuda.context import Gpu
from edged.inference.cuda.kernels import Kernels
from edged.inference.cuda.layout import COUNTERS, FRAME_PARAMS, NET_PARAMS
from edged.inference.cuda.memory import DeviceBuffer
from edged.inference.letterbox import Letterbox

KINDS = {"_f16": np.float16, "_f32": np.float32}


class Bench:
    """Arrays on the GPU, by address; all are freed at the end."""

    def __init__(self, gpu: Gpu, kernels: Kernels) -> None:
        self._gpu, self._kernels = gpu, kernels
        self._all: list[DeviceBuffer] = []
        self.counters = self.room(COUNTERS.itemsize)

    def put(self, array: np.ndarray[Any, Any]) -> int:
        self._all.append(DeviceBuffer.from_array(self._gpu, np.ascontiguousarray(array)))
        return self._all[-1].address

    def room(self, size: int) -> int:
        self._all.append(DeviceBuffer(self._gpu, size))
        return self._all[-1].address

    def run(self, name: str, grid: tuple[int, ...], block: tuple[int, ...], *arguments: int) -> None:
        self._kernels(name, grid, block, *arguments)

    def get(self, address: int, dtype: Any, shape: tuple[int, ...] = (1,)) -> Any:
        """A copy, when the stream is idle."""
        self._gpu.wait()
        out = np.zeros(shape, dtype)
        self._gpu.cuda.memcpy_dtoh(out, address)
        return out

    def counted(self) -> Any:
        return self.get(self.counters, COUNTERS)[0]

    def free(self) -> None:
        for buffer in self._all:
            buffer.free()


def frame_params(address: int, image: U8, form: PixelFormat = "bgr") -> Any:
    """(1,) FRAME_PARAMS of a whole frame, without thresholds or priors."""
    params = np.zeros(1, FRAME_PARAMS)
    width, height = image_size(image, form)
    params[0]["pixels"], params[0]["format"] = address, PIXEL_FORMATS.index(form)
    params[0]["size"], params[0]["stride"] = (width, height), image.nbytes // image.shape[0]
    params[0]["roi"] = (0, 0, width, height)
    params[0]["model_of"] = -1
    params[0]["max_subjects"], params[0]["detect"] = 64, 1
    params[0]["fit_scale"] = 1
    return params


def fitted(params: Any, net_wh: tuple[int, int], placement: Any = "top-left") -> Letterbox:
    """The letterbox of the region, also written into the parameters."""
    fit = Letterbox.fit(tuple(params[0]["roi"][2:].tolist()), net_wh, placement)
    params[0]["fit"], params[0]["fit_scale"] = (fit.pad_x, fit.pad_y, *fit.resized_wh), fit.scale
    return fit


def net_of(net_wh: tuple[int, int], mean: F32, std: F32, *, rgb: bool, padding: float = 1.25, split: float = 2) -> Any:
    net = np.zeros(1, NET_PARAMS)
    net[0] = (net_wh, 114, rgb, mean, std, padding, split)
    return net
