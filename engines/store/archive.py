"""Extracts one file from an untrusted .zip: its paths are ignored, its sizes bounded."""

from __future__ import annotations

import lzma
import shutil
import struct
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from engines.errors import SourceError
from engines.store.disk import check_free_space, check_size, megabytes, open_new, translate_os_errors

MAX_RATIO = 100  # weights hardly compress; a bomb does

# Of zipfile and the decompressors it calls; ValueError and OverflowError for places that cannot be in a file.
_DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, NotImplementedError, RuntimeError),
    *(ValueError, OverflowError, MemoryError),
)


def is_zip(file: Path) -> bool:
    """By its first bytes: a .zip's directory is at its end, where weights may look like anything."""
    with translate_os_errors(file), file.open("rb") as start:
        return start.read(2) == b"PK"


def extract(archive: Path, member: str, out: Path, max_bytes: int) -> None:
    """Write the file called `member`, at whatever depth, to `out`. Raises `SourceError`, `StoreError`."""
    try:
        with zipfile.ZipFile(archive) as files:
            found = _find(archive, files, member)
            check_size(f"{archive.name}: {member}", found.file_size, max_bytes)
            check_free_space(out.parent, found.file_size)
            with translate_os_errors(out), files.open(found) as packed, open_new(out) as plain:
                shutil.copyfileobj(packed, plain)
    except _DAMAGED as exc:
        raise SourceError(f"{archive.name}: not a whole .zip ({exc}); get it again") from exc


def _find(archive: Path, files: zipfile.ZipFile, member: str) -> zipfile.ZipInfo:
    found = [info for info in files.infolist() if PurePosixPath(info.filename).name == member]
    if len(found) != 1:
        names = sorted(info.filename for info in files.infolist())[:10]
        raise SourceError(f"{archive.name}: holds {len(found)} files called {member}, want one; has {names}")
    (info,) = found
    if info.file_size > MAX_RATIO * max(info.compress_size, 1):
        size = f"{megabytes(info.compress_size)} packed, {megabytes(info.file_size)} unpacked"
        raise SourceError(f"{archive.name}: {member} is {size}, which no model is; get it from its own page")
    return info
