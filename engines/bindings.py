"""Finds TensorRT's Python bindings: those of JetPack and PyPI, or those of TensorRT-RTX.

TensorRT-RTX has the same API and builds engines on a machine without GPU, which is how CI sees every model
parsed and built; its engines run on GeForce and RTX, never on a Jetson.
"""

from __future__ import annotations

import ctypes
import logging
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from engines.errors import NoTensorRT

log = logging.getLogger(__name__)

Flavour = Literal["tensorrt", "tensorrt-rtx"]

MIN_VERSION = (10, 3)  # JetPack 6.1; older ones have no strong typing
RTX_LIBRARIES = "onnxruntime_ep_nv_tensorrt_rtx"  # the package that carries them
RTX_PATTERNS = ("libtensorrt_rtx.so.*", "libtensorrt_onnxparser_rtx.so.*")


@dataclass(frozen=True, slots=True, eq=False)
class TensorRT:
    """The bindings; `api` is their module."""

    api: Any
    flavour: Flavour
    version: str  # with its build, like 10.3.0.30


@cache
def find(flavour: Flavour = "tensorrt") -> TensorRT:
    """Raises `NoTensorRT` saying what to install."""
    return _rtx() if flavour == "tensorrt-rtx" else _tensorrt()


def _tensorrt() -> TensorRT:
    api = _import("tensorrt", "on a Jetson it comes with JetPack: use the system's Python and its site packages")
    version = str(api.__version__)
    if tuple(map(int, version.split(".")[:2])) < MIN_VERSION:
        raise NoTensorRT(
            f"TensorRT is {version}; want {MIN_VERSION[0]}.{MIN_VERSION[1]} or newer: upgrade to JetPack 6.1"
        )
    return TensorRT(api, "tensorrt", version)


def _rtx() -> TensorRT:
    spec = find_spec(RTX_LIBRARIES)
    if spec is None or spec.origin is None:
        raise NoTensorRT("TensorRT-RTX is not installed; in a clone of edged: pip install '.[tensorrt-rtx]'")
    folder = Path(spec.origin).parent
    for pattern in RTX_PATTERNS:
        for library in sorted(folder.glob(pattern)):
            ctypes.CDLL(str(library), ctypes.RTLD_GLOBAL)
    api = _import("tensorrt_rtx_bindings", "in a clone of edged: pip install '.[tensorrt-rtx]'")
    return TensorRT(api, "tensorrt-rtx", str(api.__version__))


def _import(name: str, otherwise: str) -> ModuleType:
    try:
        return import_module(name)
    except ImportError as exc:
        raise NoTensorRT(f"{name} cannot be imported ({exc}); {otherwise}") from exc


def logger(api: Any, messages: list[str]) -> Any:
    """TensorRT's own words, to our log; errors are also collected."""
    levels = {api.ILogger.VERBOSE: logging.DEBUG, api.ILogger.INFO: logging.DEBUG, api.ILogger.WARNING: logging.INFO}

    class Logger(api.ILogger):  # type: ignore[misc]  # of a module without types
        def __init__(self) -> None:
            api.ILogger.__init__(self)

        def log(self, severity: Any, text: str) -> None:
            if severity in (api.ILogger.ERROR, api.ILogger.INTERNAL_ERROR):
                messages.append(text)
            log.log(levels.get(severity, logging.WARNING), "TensorRT: %s", text)

    return Logger()
