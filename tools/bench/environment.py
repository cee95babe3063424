"""What figures are of: the machine, and the versions of what ran."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

PACKAGES = ("onnxruntime", "opencv-python", "numpy", "rtmlib", "torch")


def environment(packages: Iterable[str] = PACKAGES) -> dict[str, Any]:
    return {"machine": platform.platform(), "cores": os.cpu_count(), **{name: _version(name) for name in packages}}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
