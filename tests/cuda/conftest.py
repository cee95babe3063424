"""The CUDA backend on this machine's GPU; without one, real pycuda on a driver that runs our kernels on the CPU."""

from __future__ import annotations

import ctypes
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from edged.inference.cuda.context import Gpu
from edged.inference.cuda.kernels import Kernels
from tests.cuda import emulation
from tests.cuda.emulated import EMULATED, IMAGE, Emulated


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    why = _missing()
    for item in items:
        if Path(__file__).parent not in item.path.parents:
            continue
        if why:
            item.add_marker(pytest.mark.skip(reason=why))
        elif not EMULATED and "emulated" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.skip(reason="needs the emulated driver"))


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
def emulated(driver: ctypes.CDLL) -> Iterator[Emulated]:
    made = Emulated(driver)
    yield made
    made.lose(0)
    made.refuse_capture(0)


@pytest.fixture
def gpu(driver: ctypes.CDLL) -> Iterator[Gpu]:
    """A GPU; fails when something is left allocated on it."""
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
