"""Several files replaced together: all of them or none, even if the power fails at any moment.

The new contents are first written into one pending file, made valid by a rename. Then the files are replaced; after a
power cut this is repeated from the pending file. Upstream: `bundle`. Downstream: the disk.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from edged.errors import NotWritten
from engines.store.disk import put_in_place, remove_on_error, sync


@dataclass(frozen=True, slots=True, kw_only=True)
class FileContent:
    """Content and permissions of a file."""

    text: str
    mode: int


Files = Mapping[str, FileContent]  # by path below the root


def replace_all(wanted: Files, removed: set[str], root: Path, pending: Path) -> None:
    """Write the `wanted` files and remove the others. Raises OSError."""
    table = {"files": {name: asdict(file) for name, file in wanted.items()}, "gone": sorted(removed)}
    write_file(pending, json.dumps(table), 0o600)
    finish(root, pending)


def finish(root: Path, pending: Path) -> bool:
    """Finish an interrupted replacement; False: there was none. Raises OSError, `NotWritten`."""
    if not pending.exists():
        return False
    wanted, gone = _read(pending)
    for name, file in wanted.items():
        write_file(root / name, file.text, file.mode)
    for name in gone:
        (root / name).unlink(missing_ok=True)
    pending.unlink()
    sync(pending.parent)
    return True


def save(files: Files, at: Path) -> None:
    """Write the files into one, for `load`. Raises OSError."""
    write_file(at, json.dumps({"files": {name: asdict(file) for name, file in files.items()}, "gone": []}), 0o600)


def load(at: Path) -> Files | None:
    """The files of `save`; None: not saved. Raises `NotWritten` when damaged."""
    return _read(at)[0] if at.exists() else None


def _read(path: Path) -> tuple[Files, list[str]]:
    try:
        table = json.loads(path.read_text())
        return {name: FileContent(**file) for name, file in table["files"].items()}, table["gone"]
    except (ValueError, TypeError, KeyError, AttributeError) as exc:
        raise NotWritten(f"{path}: damaged ({exc}); remove it, and provision again", "damaged") from exc


def write_file(path: Path, text: str, mode: int) -> None:
    """Replace one file atomically. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    with remove_on_error(part):
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
            file.write(text.encode(errors="surrogateescape"))
        part.chmod(mode)
        put_in_place(part, path)
