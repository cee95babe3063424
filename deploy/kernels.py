"""Compiles the CUDA kernels into the package: `make kernels`, the wheel's build, and the installer on a Jetson.

Use a toolkit no newer than the CUDA of the boxes' driver: 12.6 for JetPack 6, 13 for JetPack 7.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "edged" / "inference"
# Code for Orin, Hopper and Thor, and PTX for every other GPU since Ampere; those unknown to the compiler are left out.
TARGETS = (("87", "sm_87"), ("90", "sm_90"), ("110", "sm_110"), ("80", "compute_80"))


def nvcc() -> str | None:
    """Return $NVCC, or the installed nvcc; None if it is `no`."""
    named = os.environ.get("NVCC")
    return None if named == "no" else named or shutil.which("nvcc") or shutil.which("nvcc", path="/usr/local/cuda/bin")


def build(compiler: str, package: Path = PACKAGE) -> None:
    """Raises CalledProcessError; the compiler's messages are on stderr. No incomplete file is left.

    Multiplication and addition are kept apart, as numpy does them.
    """
    listed = subprocess.run([compiler, "--list-gpu-code"], capture_output=True, text=True, check=True)  # noqa: S603
    known = listed.stdout.split()
    codes = [f"-gencode=arch=compute_{arch},code={code}" for arch, code in TARGETS if f"sm_{arch}" in known]
    flags = ["-O3", "-std=c++17", "--fmad=false", "-Wno-deprecated-gpu-targets", f"-I{package}", "-fatbin"]
    partial = package / "cuda" / "kernels.partial"
    subprocess.run([compiler, *flags, *codes, str(package / "cuda" / "kernels.cu"), "-o", str(partial)], check=True)  # noqa: S603
    partial.replace(package / "cuda" / "kernels.fatbin")


def main() -> int:
    """`kernels.py [PACKAGE]`"""
    compiler = nvcc()
    if compiler is None:
        sys.stderr.write("no nvcc: install the CUDA toolkit, or name its compiler in the variable NVCC\n")
        return 1
    build(compiler, *map(Path, sys.argv[1:2]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
