"""Reads only the tensors of a checkpoint file, old or new; no code that the file names is run.

Checkpoints contain settings, histories and optimizers of training frameworks. Objects other than tensors and plain
values become `Ignored`, so that these frameworks need not be installed or trusted.
"""

from __future__ import annotations

import pickle  # only through TensorUnpickler, which imports only the names in ALLOWED
import zipfile
from pathlib import Path
from typing import Any

import torch

ALLOWED = {
    ("collections", "OrderedDict"),
    ("torch", "Size"),
    ("torch", "device"),
    ("torch.serialization", "_get_layout"),
    *(("torch._utils", f"_rebuild_{kind}") for kind in ("tensor", "tensor_v2", "parameter")),
}
UNREADABLE = (  # raised by torch.load for unreadable files
    *(pickle.UnpicklingError, EOFError, RuntimeError, ValueError, TypeError, KeyError, IndexError, AttributeError),
    *(OverflowError, MemoryError, AssertionError, zipfile.BadZipFile),
)


class Unreadable(Exception):
    """The file is no checkpoint, or damaged."""


class Ignored:
    """A placeholder for an object that is not read; it accepts any operation of unpickling."""

    def __init__(self, *_: Any, **__: Any) -> None: ...
    def __new__(cls, *_: Any, **__: Any) -> Ignored:
        return super().__new__(cls)

    def __call__(self, *_: Any, **__: Any) -> Ignored:
        return Ignored()

    def __setstate__(self, _: Any) -> None: ...
    def __setitem__(self, _: Any, __: Any) -> None: ...
    def append(self, _: Any) -> None: ...
    def extend(self, _: Any) -> None: ...


class TensorUnpickler(pickle.Unpickler):
    """An unpickler that creates only the parts of tensors."""

    def find_class(self, module: str, name: str) -> Any:
        plain = module == "torch" and (name.endswith("Storage") or isinstance(getattr(torch, name, None), torch.dtype))
        return super().find_class(module, name) if plain or (module, name) in ALLOWED else Ignored


class PickleModule:
    """The interface that torch.load expects of a pickle module."""

    Unpickler = TensorUnpickler

    @staticmethod
    def load(file: Any, **options: Any) -> Any:
        return TensorUnpickler(file, **options).load()


def read_tensors(path: Path) -> Any:
    """Return the contents of a checkpoint, on the CPU. Raises `Unreadable`, with what the file is, and OSError."""
    with path.open("rb") as file:
        start = file.read(4)
    try:
        return torch.load(path, map_location="cpu", weights_only=False, pickle_module=PickleModule)
    except UNREADABLE as exc:
        raise Unreadable(f"{_describe(start)} ({type(exc).__name__}); want a .pth or .tar as PyTorch saves it") from exc


def _describe(start: bytes) -> str:
    """Return what a file is, by its first bytes."""
    if not start:
        return "got an empty file"
    if start.startswith(b"PK"):
        return "got a .zip that is not PyTorch's, or incomplete"
    if start[:1] == b"<":
        return "got a web page: open the download link in a browser"
    return "not a PyTorch file, or incomplete"
