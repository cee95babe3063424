"""The CUDA plane on the GPU that is here; where there is none, real pycuda on a driver that runs our kernels on the CPU."""

from __future__ import annotations

import ctypes
import shutil
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from edged.adapters.cuda.gpu import Gpu
from edged.adapters.cuda.kernels import Kernels, built
from engines import machine
from tests.cuda import emulation

EMULATED = machine.here().gpu is None  # asked before the emulated one is there
IMAGE = b"the emulated driver has the kernels compiled in" if EMULATED else built() or b""

Count = Callable[[str], int]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    why = _missing()
    for item in items:
        if Path(__file__).parent not in item.path.parents:
            continue
        if why:
            item.add_marker(pytest.mark.skip(reason=why))
        elif not EMULATED and "count" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.skip(reason="counts what the emulated driver did; a real one does not tell"))


def _missing() -> str | None:
    if find_spec("pycuda") is None:
        return "needs pycuda: `make cuda` builds it"
    if EMULATED and shutil.which("g++") is None:
        return "needs g++, which compiles the kernels for the CPU"
    if not EMULATED and not IMAGE:
        return "needs the kernels: `make kernels` compiles them"
    return None


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return emulation.build(tmp_path_factory.mktemp("driver")) if EMULATED else Path(emulation.NAME)


@pytest.fixture(scope="session")
def driver(library: Path) -> ctypes.CDLL:
    return emulation.load(library)


@pytest.fixture
def count(driver: ctypes.CDLL) -> Count:
    """How often the emulated driver was asked for something, or how much of it is left."""

    def counted(what: str) -> int:
        return int(driver.emulated(what.encode()))

    return counted


@pytest.fixture
def gpu(driver: ctypes.CDLL) -> Iterator[Gpu]:
    """A GPU, on which nothing may be left behind."""
    left = (b"alive", b"registered") if EMULATED else ()
    before = [driver.emulated(what) for what in left]
    made = Gpu()
    yield made
    made.close()
    assert [driver.emulated(what) for what in left] == before, "memory is left on the GPU"


@pytest.fixture
def kernels(gpu: Gpu) -> Iterator[Kernels]:
    made = Kernels(gpu, IMAGE)
    yield made
    made.free()
