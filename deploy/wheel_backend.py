"""setuptools, which first compiles the CUDA kernels if nvcc is found. Without it the wheel is for CPUs only."""

from __future__ import annotations

import sys
from typing import Any

import kernels  # in this folder
from setuptools import build_meta
from setuptools.build_meta import *  # noqa: F403  # the other hooks are setuptools' own


def build_wheel(wheel_directory: str, config_settings: Any = None, metadata_directory: str | None = None) -> str:
    compiler = kernels.nvcc()
    if compiler is None:
        sys.stderr.write("no nvcc: this wheel has no CUDA kernels, and runs on the CPU only\n")
    else:
        kernels.build(compiler)
    return build_meta.build_wheel(wheel_directory, config_settings, metadata_directory)
