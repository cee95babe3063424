"""Memory that the GPU reads and writes. The maker of a buffer frees it; an address is a plain int and owns nothing.

Thread: the one that made the `Gpu`.
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
DEVICEMAP = 2  # CU_MEMHOSTREGISTER_DEVICEMAP, source: cuda.h
MAX_IDLE_FRAMES = 1000  # after which an unused registration is dropped; 33 s at 30 Hz
MAX_FRAMES_PER_CAMERA = 16  # registered at once; twice what a V4L2 driver and the frame buffer use together


class DeviceBuffer:
    """`size` bytes on the GPU, rounded up to whole words, zero at first. Owned: `free` it."""

    def __init__(self, gpu: Gpu, size: int) -> None:
        self._gpu = gpu
        self.size = max(4, (size + 3) // 4 * 4)
        self._memory = gpu.cuda.mem_alloc(self.size)
        self.address = int(self._memory)
        gpu.cuda.memset_d32_async(self.address, 0, self.size // 4, gpu.stream)

    @staticmethod
    def from_array(gpu: Gpu, values: np.ndarray[Any, Any]) -> DeviceBuffer:
        """A buffer that holds a copy of the array, of any shape and dtype. Waits for the stream."""
        buffer = DeviceBuffer(gpu, values.nbytes)
        gpu.wait()  # until it is zeroed
        gpu.cuda.memcpy_htod(buffer.address, np.frombuffer(values.tobytes(), np.uint8))
        return buffer

    def free(self) -> None:
        with suppress(self._gpu.cuda.Error):  # the GPU is lost
            self._memory.free()


class MappedArray:
    """A page-locked host array that kernels read and write in place, at `address`. Owned: `free` it."""

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
    """Gives kernels the address of a frame: its own, when it begins on a page, else that of a copy.

    A page-aligned frame (`capture.frame_buffer`) is registered with CUDA when it is first seen. Its memory is held
    while it is registered, so that the address cannot be reused. A camera that is reopened brings new frames: its
    least recently used ones are unregistered for them.
    """

    def __init__(self, gpu: Gpu, *, copy: bool = False) -> None:
        self._gpu = gpu
        self._copy = copy
        self._registered: dict[int, RegisteredFrame] = {}  # by host address
        self._frame_count = 0
        self._staging: MappedArray | None = None
        self.access: FrameAccess = "mapped"  # of the last frame

    def map_frame(self, image: U8, camera: str) -> int:
        """The device address of a camera's image (its shape as in `Frame`), valid until the next call."""
        self._frame_count += 1
        registered = None if self._copy or image.ctypes.data % mmap.PAGESIZE else self._register(image, camera)
        if registered is None:
            self.access = "copied"
            return self._copy_to_staging(image)
        self.access = "mapped"
        registered.last_used = self._frame_count
        return registered.device_address

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
        """The registration of an image's memory; None when CUDA refuses it."""
        address = image.ctypes.data
        present = self._registered.get(address)
        if present is not None and present.memory.nbytes == image.nbytes:
            return present
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
        """Host addresses to unregister before one more frame of the camera is registered at `address`."""
        frames = self._registered.items()
        mine = sorted((frame.last_used, host) for host, frame in frames if frame.camera == camera)
        surplus = {host for _, host in mine[: max(0, len(mine) + 1 - MAX_FRAMES_PER_CAMERA)]}
        oldest = self._frame_count - MAX_IDLE_FRAMES
        return surplus | {host for host, frame in frames if host == address or frame.last_used < oldest}

    def _unregister(self, address: int) -> None:
        self._gpu.driver_status("cuMemHostUnregister", ctypes.c_void_p(address))  # fails on a lost GPU
        del self._registered[address]


@dataclass(slots=True, eq=False)
class RegisteredFrame:
    """Host memory that kernels read in place."""

    memory: U8  # held, so that its address is not reused
    device_address: int
    camera: str
    last_used: int = 0  # number of the frame
