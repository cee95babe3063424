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
UNSUPPORTED = 801  # what pycuda could call and we do not
FLAGS = ("-std=c++20", "-O2", "-ffp-contract=off", "-fPIC", "-shared", "-fvisibility=hidden", "-Wall", "-Werror")
QUIET = ("-Wno-sign-compare", "-Wno-unused-function")  # as nvcc has it


def build(folder: Path) -> Path:
    """The library; raises CalledProcessError with the compiler's words."""
    rest = folder / "rest.c"
    rest.write_text("")
    library = _compiled(folder, rest)
    missing = sorted(_symbols(_pycuda(), "--undefined-only") - _symbols(library, "--defined-only"))
    stubs = (f'__attribute__((visibility("default"))) int {name}(void) {{ return {UNSUPPORTED}; }}' for name in missing)
    rest.write_text("\n".join(stubs))
    return _compiled(folder, rest)


def load(library: Path) -> ctypes.CDLL:
    """Everybody who asks for libcuda.so.1 in this process gets this one."""
    driver = ctypes.CDLL(str(library), ctypes.RTLD_GLOBAL)
    if hasattr(driver, "emulated"):
        driver.emulated.restype = ctypes.c_long
    return driver


def _compiled(folder: Path, rest: Path) -> Path:
    stubs, library = folder / "rest.o", folder / NAME
    _run("gcc", "-c", "-fPIC", str(rest), "-o", str(stubs))
    sources = (str(HERE / "driver.cpp"), str(HERE / "fibers.cpp"))
    includes = (f"-I{HERE / 'include'}", f"-I{ROOT / 'edged'}")
    _run("g++", *FLAGS, *QUIET, *includes, f"-Wl,-soname,{NAME}", *sources, str(stubs), "-o", str(library), "-lpthread")
    return library


def _pycuda() -> Path:
    spec = find_spec("pycuda._driver")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin)


def _symbols(library: Path, which: str) -> set[str]:
    listed = _run("nm", "-D", which, str(library)).split()
    return {name for name in listed if name.startswith("cu") and name[2:3].isupper()}


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]}: {done.stderr[-3000:]}")
    return done.stdout
