"""Checks of `edged doctor`: libraries and the Jetson's system.

A library is imported where it is used, by name: it may be missing, and that is one of the results.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from edged.device.check_result import CheckResult, failed, passed, unchecked
from edged.inference.cuda.kernels import compiled_kernels
from edged.units import BYTES_PER_KB

MIN_TENSORRT = (10, 3)  # JetPack 6.1
FAULTY_OPENCV = ((4, 10), (4, 11))  # 4.8 of JetPack 6 does not have that fault
L4T_RELEASE = Path("/etc/nv_tegra_release")
MIN_L4T = (36, 4)  # JetPack 6.1
INSTALL_PYCUDA = (
    "apt-get install g++ python3-dev and CUDA's nvcc and cudart-dev, then install edged again: it is built here"
)
INSTALL_KERNELS = "install CUDA's nvcc and then edged again: it compiles them; in a clone: make kernels"
INSTALL_LIBRARIES = "install edged again; in a clone: pip install '.[cpu]'"
INSTALL_JETPACK = "install JetPack 6.1 or later"


def library_results() -> Iterator[CheckResult]:
    """OpenCV and ONNX Runtime are installed; TensorRT, if it is installed, is new enough."""
    for module, name in (("cv2", "OpenCV"), ("av", "PyAV"), ("onnxruntime", "ONNX Runtime")):
        try:
            version = str(import_module(module).__version__)
        except ImportError as error:
            yield failed(name, str(error), INSTALL_LIBRARIES)
        else:
            yield opencv(version) if module == "cv2" else passed(name, version)
    try:
        yield tensorrt(str(import_module("tensorrt").__version__))
    except ImportError:
        yield unchecked("TensorRT", "not installed; models run on the CPU")
        return
    try:
        yield passed("pycuda", str(import_module("pycuda").VERSION_TEXT))
    except ImportError as error:
        yield failed("pycuda", f"{error}; models run on the CPU", INSTALL_PYCUDA)
    yield kernels(compiled_kernels())


def kernels(image: bytes | None) -> CheckResult:
    """Without them engines run all the same, but every frame is copied over the host."""
    if image is None:
        return failed("CUDA kernels", "not in this package; frames are copied over the host", INSTALL_KERNELS)
    return passed("CUDA kernels", f"{len(image) // BYTES_PER_KB} kB")


def tensorrt(version: str) -> CheckResult:
    """`version` is new enough."""
    if _numbers(version)[:2] >= MIN_TENSORRT:
        return passed("TensorRT", version)
    wanted = ".".join(map(str, MIN_TENSORRT))
    return failed("TensorRT", f"{version} is not supported; want {wanted} or later", INSTALL_JETPACK)


def opencv(version: str) -> CheckResult:
    """`version` has no fault that a picture from elsewhere can use."""
    if _numbers(version)[:2] in FAULTY_OPENCV:
        text = f"{version}: a crafted JPEG can crash it, or do worse (CVE-2025-53644); want 4.12 or later"
        return failed("OpenCV", text, INSTALL_LIBRARIES)
    return passed("OpenCV", version)


def jetson_results() -> Iterator[CheckResult]:
    """NVIDIA's Linux for Tegra is new enough."""
    if L4T_RELEASE.exists():
        yield l4t(L4T_RELEASE.read_text())
    else:
        yield unchecked("Jetson", "this is not one")


def l4t(text: str) -> CheckResult:
    """`text` is of /etc/nv_tegra_release: `# R36 (release), REVISION: 4.3, …`."""
    match = re.search(r"R(\d+).*REVISION: (\d+)", text)
    release = (int(match[1]), int(match[2])) if match else (0, 0)
    name = f"L4T {release[0]}.{release[1]}"
    return (
        passed("Jetson", name) if release >= MIN_L4T else failed("Jetson", f"{name} is not supported", INSTALL_JETPACK)
    )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))
