"""Builds the driver that runs kernels on the CPU, and loads it in the place of NVIDIA's.

Once it is in a process, everything there sees a GPU; so these tests are a run of their own (`make cuda`).
"""

from __future__ import annotations

import ctypes
import subprocess
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
NAME = "libcuda.so.1"
# What pycuda could call and we do not: CUDA_ERROR_NOT_SUPPORTED
STUB = '__attribute__((visibility("default"))) int {name}(void) {{ return 801; }}'
FLAGS = ("-std=c++20", "-O2", "-ffp-contract=off", "-fPIC", "-fvisibility=hidden", "-Wall", "-Werror")
QUIET = ("-Wno-sign-compare", "-Wno-unused-function")  # as nvcc has it


def build(folder: Path) -> Path:
    """The library's path. Raises RuntimeError with the compiler's output."""
    includes = (f"-I{HERE / 'include'}", f"-I{ROOT / 'edged/inference'}")
    objects = [str(folder / f"{name}.o") for name in ("driver", "fibers", "rest")]
    for name, made in zip(("driver", "fibers"), objects, strict=False):
        _run("g++", *FLAGS, *QUIET, *includes, "-c", str(HERE / f"{name}.cpp"), "-o", made)
    missing = sorted(_symbols("-D", "--undefined-only", _pycuda()) - _symbols("--defined-only", Path(objects[0])))
    rest = folder / "rest.c"
    rest.write_text("\n".join(STUB.format(name=name) for name in missing))
    _run("gcc", "-c", "-fPIC", str(rest), "-o", objects[2])
    library = folder / NAME
    _run("g++", "-shared", f"-Wl,-soname,{NAME}", *objects, "-o", str(library), "-lpthread")
    return library


def load(library: Path) -> ctypes.CDLL:
    """The library, which from now on is libcuda.so.1 for this whole process."""
    driver = ctypes.CDLL(str(library), ctypes.RTLD_GLOBAL)
    if hasattr(driver, "emulated"):
        driver.emulated.restype = ctypes.c_long
    return driver


def _pycuda() -> Path:
    spec = find_spec("pycuda._driver")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin)


def _symbols(*which: str | Path) -> set[str]:
    listed = _run("nm", *map(str, which)).split()
    return {name for name in listed if name.startswith("cu") and name[2:3].isupper()}


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]}: {done.stderr[-3000:]}")
    return done.stdout
