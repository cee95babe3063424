"""Memory that the GPU reads and writes. Buffers are owned and freed; an address that is lent is only a number.

Everything here belongs to the thread that owns the GPU.
"""

from __future__ import annotations

import ctypes
import logging
import mmap
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from edged.frame import U8
from edged.inference.cuda.context import Gpu

log = logging.getLogger(__name__)

FrameAccess = Literal["mapped", "copied"]
DEVICEMAP = 2  # CU_MEMHOSTREGISTER_DEVICEMAP
MAX_IDLE_FRAMES = 1000  # frames after which a slot that is not seen any more is let go
MAX_PAGES_PER_CAMERA = (
    16  # slots of one camera that are held; those of a V4L2 driver and of the ring come to half of that
)


class DeviceBuffer:
    """Memory on the GPU, all zero at first."""

    def __init__(self, gpu: Gpu, size: int) -> None:
        self._gpu = gpu
        self.size = max(4, (size + 3) // 4 * 4)
        self._memory = gpu.cuda.mem_alloc(self.size)
        self.address = int(self._memory)
        gpu.cuda.memset_d32_async(self.address, 0, self.size // 4, gpu.stream)

    @staticmethod
    def from_array(gpu: Gpu, values: np.ndarray[Any, Any]) -> DeviceBuffer:
        """A copy of an array, for good."""
        made = DeviceBuffer(gpu, values.nbytes)
        gpu.wait()  # for the zeros
        gpu.cuda.memcpy_htod(made.address, np.frombuffer(values.tobytes(), np.uint8))
        return made

    def free(self) -> None:
        with suppress(self._gpu.cuda.Error):  # of a lost GPU
            self._memory.free()


class MappedArray:
    """A page-locked array on the host that kernels read and write in place, at `address`."""

    def __init__(self, gpu: Gpu, shape: Sequence[int], dtype: Any) -> None:
        self._gpu = gpu
        dtype = np.dtype(dtype)
        flags = gpu.cuda.host_alloc_flags.DEVICEMAP
        self._bytes = gpu.cuda.pagelocked_zeros(int(np.prod(shape)) * dtype.itemsize, np.uint8, mem_flags=flags)
        self.host: np.ndarray[Any, Any] = self._bytes.view(dtype).reshape(tuple(shape))
        self.address = int(self._bytes.base.get_device_pointer())

    def free(self) -> None:
        base = self._bytes.base
        del self.host, self._bytes
        with suppress(self._gpu.cuda.Error):
            base.free()


class FrameMapper:
    """Where kernels find a frame: where it lies, if it lies in a slot, else in a copy.

    A slot (`edged.capture.frame_buffer`) begins on a page, and is registered when it is first seen. It is held until it is let go,
    so that no address is in use that has become somebody else's. A camera that is opened anew brings new slots: its
    old ones are let go for them, however often it comes and goes.
    """

    def __init__(self, gpu: Gpu, *, copy: bool = False) -> None:
        self._gpu = gpu
        self._copy = copy
        self._registered: dict[int, RegisteredFrame] = {}  # by host address
        self._frame_count = 0
        self._staging: MappedArray | None = None
        self.access: FrameAccess = "mapped"  # of the last frame

    def map_frame(self, image: U8, camera: str) -> int:
        """The device address of a camera's image; good until the next call, and no longer than the image is."""
        self._frame_count += 1
        slot = None if self._copy or image.ctypes.data % mmap.PAGESIZE else self._register(image, camera)
        if slot is None:
            self.access = "copied"
            return self._copy_to_staging(image)
        self.access = "mapped"
        slot.last_used = self._frame_count
        return slot.device_address

    def free(self) -> None:
        for address in list(self._registered):
            self._unregister(address)
        if self._staging is not None:
            self._staging.free()

    def _copy_to_staging(self, image: U8) -> int:
        if self._staging is None or self._staging.host.nbytes < image.nbytes:
            if self._staging is not None:
                self._staging.free()
            self._staging = MappedArray(self._gpu, (image.nbytes,), np.uint8)
        np.copyto(self._staging.host[: image.nbytes].reshape(image.shape), image)
        return self._staging.address

    def _register(self, image: U8, camera: str) -> RegisteredFrame | None:
        """The slot an image lies in, registered; None when CUDA does not take it."""
        address = image.ctypes.data
        known = self._registered.get(address)
        if known is not None and known.memory.nbytes == image.nbytes:
            return known
        for old in self._expired(address, camera):
            self._unregister(old)
        device = ctypes.c_uint64()
        refused = self._gpu.driver_status("cuMemHostRegister_v2", ctypes.c_void_p(address), image.nbytes, DEVICEMAP)
        if refused:
            log.warning("CUDA does not map camera memory (%d): every frame is copied once", refused)
            self._copy = True
            return None
        self._gpu.driver_call("cuMemHostGetDevicePointer_v2", ctypes.byref(device), ctypes.c_void_p(address), 0)
        self._registered[address] = RegisteredFrame(image, device.value, camera)
        return self._registered[address]

    def _expired(self, address: int, camera: str) -> set[int]:
        """The slots that make way for one more of a camera's, at this address."""
        mine = sorted((slot.last_used, host) for host, slot in self._registered.items() if slot.camera == camera)
        unused = {
            host
            for host, slot in self._registered.items()
            if self._frame_count - slot.last_used > MAX_IDLE_FRAMES or host == address
        }
        return unused | {host for _, host in mine[: max(0, len(mine) + 1 - MAX_PAGES_PER_CAMERA)]}

    def _unregister(self, address: int) -> None:
        self._gpu.driver_status("cuMemHostUnregister", ctypes.c_void_p(address))  # a lost GPU has forgotten it
        del self._registered[address]


@dataclass(slots=True, eq=False)
class RegisteredFrame:
    """Host memory that kernels read in place."""

    memory: U8  # held, so that nobody else gets this address
    device_address: int  # its address for kernels
    camera: str
    last_used: int = 0  # frame in which it was last used
