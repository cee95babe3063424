"""Tensors out of a checkpoint file of any age, and nothing else of it: no code of the file is ever run.

Checkpoints carry settings, histories and optimizers of the frameworks that wrote them. Whatever is not a tensor or a
plain value becomes `Left`, so that none of these frameworks needs to be here, nor to be trusted.
"""

from __future__ import annotations

import pickle  # only through Tensors below, which imports nothing that a file names
import zipfile
from pathlib import Path
from typing import Any

import torch

TAKEN = {
    ("collections", "OrderedDict"),
    ("torch", "Size"),
    ("torch", "device"),
    ("torch.serialization", "_get_layout"),
    *(("torch._utils", f"_rebuild_{kind}") for kind in ("tensor", "tensor_v2", "parameter")),
}
UNREADABLE = (  # what torch.load raises for what it cannot read
    *(pickle.UnpicklingError, EOFError, RuntimeError, ValueError, TypeError, KeyError, IndexError, AttributeError),
    *(OverflowError, MemoryError, AssertionError, zipfile.BadZipFile),
)


class Unreadable(Exception):
    """No checkpoint, or a damaged one."""


class Left:
    """In the place of what was not taken: it lets the file do with it what it likes."""

    def __init__(self, *_: Any, **__: Any) -> None: ...
    def __new__(cls, *_: Any, **__: Any) -> Left:
        return super().__new__(cls)

    def __call__(self, *_: Any, **__: Any) -> Left:
        return Left()

    def __setstate__(self, _: Any) -> None: ...
    def __setitem__(self, _: Any, __: Any) -> None: ...
    def append(self, _: Any) -> None: ...
    def extend(self, _: Any) -> None: ...


class Tensors(pickle.Unpickler):
    """As torch's own, for what tensors are made of."""

    def find_class(self, module: str, name: str) -> Any:
        plain = module == "torch" and (name.endswith("Storage") or isinstance(getattr(torch, name, None), torch.dtype))
        return super().find_class(module, name) if plain or (module, name) in TAKEN else Left


class Pickle:
    """What torch.load asks of a pickle module."""

    Unpickler = Tensors

    @staticmethod
    def load(file: Any, **options: Any) -> Any:
        return Tensors(file, **options).load()


def content(path: Path) -> Any:
    """Whatever the file holds, on the CPU. Raises `Unreadable` saying what it is instead, and OSError."""
    with path.open("rb") as file:
        start = file.read(4)
    try:
        return torch.load(path, map_location="cpu", weights_only=False, pickle_module=Pickle)
    except UNREADABLE as exc:
        raise Unreadable(f"{_looks(start)} ({type(exc).__name__}); want a .pth or .tar as PyTorch saves it") from exc


def _looks(start: bytes) -> str:
    """What the first bytes of a file tell."""
    if not start:
        return "got an empty file"
    if start.startswith(b"PK"):
        return "got a .zip that is none of PyTorch's, or not all of one"
    if start[:1] == b"<":
        return "got a web page: the download asked for something, open it in a browser"
    return "got no PyTorch file, or not all of one"
