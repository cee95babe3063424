"""The GPU, its driver and the system that an engine is built for. Read without TensorRT or pycuda."""

from __future__ import annotations

import ctypes
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

RELEASE = re.compile(r"# R(\d+) \(release\), REVISION: ([\d.]+)")
MAJOR, MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_*
NAME_BYTES = 256
BYTES_PER_GB = 1 << 30
WORKSPACE_MB = ((8, 512), (16, 1024), (32, 2048))  # memory in GB up to which, and what a build may have of it
MAX_WORKSPACE_MB = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """None: there is no GPU here, or no L4T."""

    gpu: str | None = None
    sm: str | None = None  # compute capability, like 8.7
    gpu_gb: int | None = None  # memory, rounded: boards of one GPU differ by it
    driver: str | None = None  # CUDA version of the driver, like 12.6
    l4t: str | None = None  # NVIDIA's Linux for Tegra, like 36.4.3


def workspace_mb(machine: Machine) -> int:
    """Default workspace of a build in MB: small on boards whose GPU shares the system's memory."""
    return next((mb for gb, mb in WORKSPACE_MB if (machine.gpu_gb or 0) <= gb), MAX_WORKSPACE_MB)


def detect(root: Path = Path("/")) -> Machine:
    """This machine."""
    return replace(_gpu(), l4t=_l4t(root / "etc/nv_tegra_release"))


def _gpu() -> Machine:
    """The first GPU, from the driver itself."""
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return Machine()
    device, number = ctypes.c_int(), ctypes.c_int()
    if cuda.cuInit(0) or cuda.cuDeviceGet(ctypes.byref(device), 0):
        return Machine()
    name, size = ctypes.create_string_buffer(NAME_BYTES), ctypes.c_size_t()
    cuda.cuDeviceGetName(name, NAME_BYTES, device)
    cuda.cuDeviceTotalMem_v2(ctypes.byref(size), device)
    capability = []
    for attribute in (MAJOR, MINOR):
        cuda.cuDeviceGetAttribute(ctypes.byref(number), attribute, device)
        capability.append(str(number.value))
    cuda.cuDriverGetVersion(ctypes.byref(number))
    return Machine(
        gpu=name.value.decode(errors="replace"),
        sm=".".join(capability),
        gpu_gb=round(size.value / BYTES_PER_GB),
        driver=f"{number.value // 1000}.{number.value % 1000 // 10}",
    )


def _l4t(path: Path) -> str | None:
    with suppress(OSError):
        if found := RELEASE.search(path.read_text(errors="replace")):
            return f"{found.group(1)}.{found.group(2)}"
    return None
