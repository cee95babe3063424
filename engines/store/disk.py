"""What the store does to the disk: failures with a name, atomic publishing, hashes, one writer at a time."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from engines.errors import SourceError, StoreError
from engines.units import BYTES_PER_MB

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NO_PERMISSION = (errno.EACCES, errno.EPERM, errno.EROFS)
CHUNK_BYTES = 1 << 18


def megabytes(count: int) -> str:
    """For people: "50.7 MB"."""
    return f"{count / BYTES_PER_MB:.1f} MB"


def sha256(path: Path) -> str:
    """Raises `StoreError`."""
    digest = hashlib.sha256()
    with translate_os_errors(path), path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


@contextmanager
def translate_os_errors(path: Path) -> Iterator[None]:
    """Translate what the operating system refuses. Raises `StoreError`."""
    try:
        yield
    except OSError as exc:
        raise StoreError(_error_text(path, exc)) from exc


def _error_text(path: Path, error: OSError) -> str:
    if error.errno in DISK_FULL:
        return f"{path}: disk full ({error.strerror}); make room, or choose another place with --store"
    if error.errno in NO_PERMISSION:
        return f"{path}: {error.strerror}; run as its owner, or choose another place with --store"
    return f"{path}: {error.strerror or error}"


def check_free_space(directory: Path, count: int) -> None:
    """Refuse before the first byte what cannot fit. Raises `StoreError`."""
    free = shutil.disk_usage(directory).free
    if count > free:
        raise StoreError(
            f"{directory}: disk full: {megabytes(count)} needed, {megabytes(free)} free; "
            "make room, or choose another place with --store"
        )


def check_size(name: str, count: int, max_bytes: int) -> None:
    """Refuse what is larger than it may be. Raises `SourceError`."""
    if count > max_bytes:
        raise SourceError(f"{name}: {megabytes(count)}, and at most {megabytes(max_bytes)} are expected; get it again")


@contextmanager
def remove_on_error(part: Path) -> Iterator[None]:
    """Leave no half-made `part` behind, whatever stops the making of it."""
    with ExitStack() as undo:
        undo.callback(part.unlink, missing_ok=True)
        yield
        undo.pop_all()


def copy(source: Path, part: Path, max_bytes: int) -> None:
    """Raises `StoreError`, and `SourceError` for more bytes than that, also of a file that grows meanwhile."""
    with translate_os_errors(source), source.open("rb") as original:
        check_size(str(source), source.stat().st_size, max_bytes)
        check_free_space(part.parent, source.stat().st_size)
        with translate_os_errors(part), open_new(part) as out:
            while chunk := original.read(CHUNK_BYTES):
                out.write(chunk)
                check_size(str(source), out.tell(), max_bytes)


def no_links(path: str, flags: int) -> int:
    """For the `opener` of a file that another user may have replaced by a link. Raises OSError for a link."""
    return os.open(path, flags | os.O_NOFOLLOW, 0o666)


def open_new(path: Path) -> BinaryIO:
    """The file, emptied, for writing. Raises OSError for a link."""
    return open(path, "wb", opener=no_links)


def publish(part: Path, final: Path) -> None:
    """Make `part` appear as `final`, whole or not at all, even through a power cut."""
    with translate_os_errors(final):
        put_in_place(part, final)


def write(path: Path, content: bytes) -> None:
    """Replace a file, whole or not at all, even through a power cut. Raises OSError; an older file is then kept."""
    part = path.with_name(f".{path.name}.part")
    with remove_on_error(part):
        with open_new(part) as file:
            file.write(content)
        put_in_place(part, path)


def put_in_place(part: Path, final: Path) -> None:
    """As `publish`, with the system's own errors. Raises OSError."""
    sync(part)
    os.replace(part, final)
    sync(final.parent)


def sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def file_lock(directory: Path) -> Iterator[None]:
    """Hold `directory` against other writers, making it if need be. Raises `StoreError`."""
    with translate_os_errors(directory):
        directory.mkdir(parents=True, exist_ok=True)
        lock = FileIO(directory / ".lock", "w", opener=no_links)
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise StoreError(f"{directory}: another process is changing the store; wait for it") from exc
        yield
