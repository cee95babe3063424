"""The CUDA plane where there is no GPU: real pycuda on a driver that runs our kernels on the CPU."""

from __future__ import annotations

import ctypes
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from edged.adapters.cuda.gpu import Gpu
from edged.adapters.cuda.kernels import Kernels
from tests.cuda import emulation

ANY = b"the emulated driver has its kernels compiled in"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    why = _missing()
    for item in items:
        if why and Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.skip(reason=why))


def _missing() -> str | None:
    if find_spec("pycuda") is None:
        return "needs pycuda: `make cuda` builds it"
    if shutil.which("g++") is None:
        return "needs g++, which compiles the kernels for the CPU"
    return None


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return emulation.build(tmp_path_factory.mktemp("driver"))


@pytest.fixture(scope="session")
def driver(library: Path) -> ctypes.CDLL:
    return emulation.load(library)


@pytest.fixture
def gpu(driver: ctypes.CDLL) -> Iterator[Gpu]:
    """A GPU, on which nothing may be left behind."""
    before = driver.emulated(b"alive"), driver.emulated(b"registered")
    made = Gpu()
    yield made
    made.close()
    assert (driver.emulated(b"alive"), driver.emulated(b"registered")) == before, "memory is left on the GPU"


@pytest.fixture
def kernels(gpu: Gpu) -> Iterator[Kernels]:
    made = Kernels(gpu, ANY)
    yield made
    made.free()
