"""The files of a USB stick, read once into memory, and the report that is left on it.

A stick is somebody else's: nothing on it is followed, waited for or read without a limit, and nothing on it is opened
for writing but a file that is new. Upstream: udev, which starts the unit. Downstream: `apply_stick`.
"""

from __future__ import annotations

import ctypes
import os
import re
import secrets
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import islice
from pathlib import Path

from edged.errors import NotTrusted, NotWritten
from edged.foreign_text import printable

SETTINGS = "edged-provision.toml"
SIGNATURE = f"{SETTINGS}.sig"
PUBLIC_KEY = "edged-provision.pub"
REPORT = "edged-provision.report.txt"
RELEASE_FOLDER = "edged-release"
MAX_BYTES = {SETTINGS: 1 << 20, SIGNATURE: 1 << 14, PUBLIC_KEY: 1 << 14}
MAX_REPORT_BYTES = 1 << 16  # of the report on the stick
MAX_ENTRIES = 2000  # of a folder that are looked at for names that are nearly right
MAX_FOLDERS = 200
FILE_SYSTEMS = ("vfat", "exfat", "ext4")
# From <sys/mount.h>. By mount(2): util-linux 2.37 of Ubuntu 22.04 need not know the last one.
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_NOSYMFOLLOW = 1, 2, 4, 8, 256
_NEARLY = re.compile(r"edged[-_ ]provision(?![a-z])", re.IGNORECASE)
SIMILAR = 0.7  # letters of a name that are those of the right one, by SequenceMatcher; "provision" alone has 0.78
OTHERS = (".report.txt", ".sig", ".pub")  # ends of our files' names that are no settings


@dataclass(frozen=True, slots=True, kw_only=True)
class StickFiles:
    """What a stick holds for this device. Contents are as read, not yet trusted."""

    settings: bytes | None
    signature: bytes | None
    public_key: bytes | None
    nearly: tuple[str, ...]  # lines about what has nearly the right name, while nothing has that name
    has_release: bool


@contextmanager
def mounted(device: str, at: Path, *, writable: bool = False) -> Iterator[None]:
    """Inside, the device's file system is at this folder. Raises `NotWritten`, if it cannot be mounted so."""
    at.mkdir(parents=True, exist_ok=True)
    flags = MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOSYMFOLLOW | (0 if writable else MS_RDONLY)
    libc = ctypes.CDLL(None, use_errno=True)
    reasons = []
    for kind in FILE_SYSTEMS:
        if libc.mount(device.encode(), bytes(at), kind.encode(), ctypes.c_ulong(flags), None) == 0:
            break
        reasons.append(f"{kind}: {os.strerror(ctypes.get_errno())}")
    else:
        wanted = "to use it for settings, format it as FAT32, exFAT or ext4"
        raise NotWritten(f"{device}: {_type(device)}: cannot be read here ({'; '.join(reasons)}); {wanted}", "mount")
    try:
        yield
    finally:
        libc.umount2(bytes(at), 2)  # MNT_DETACH: a stick that was pulled does not hold it


def _type(device: str) -> str:
    command = ["blkid", "-o", "value", "-s", "TYPE", device]
    with suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)  # noqa: S603
        return printable(done.stdout.strip()) or "unknown file system"
    return "unknown file system"


def read_stick(folder: Path) -> StickFiles:
    """The stick's files, from the top of this folder. Raises `NotTrusted` for a file that is no plain file."""
    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        settings, signature, key = (_read(at, name) for name in (SETTINGS, SIGNATURE, PUBLIC_KEY))
        release = _is_folder(at, RELEASE_FOLDER)
    finally:
        os.close(at)
    nearly = [] if settings is not None else list(_nearly_settings(folder))
    if settings is None and signature is not None and not nearly:
        nearly.append(f"found {SIGNATURE}, and no {SETTINGS}; copy that to the stick, too")
    nearly += [] if release else _nearly_release(folder)
    return StickFiles(settings=settings, signature=signature, public_key=key, nearly=tuple(nearly), has_release=release)


def _read(folder: int, name: str) -> bytes | None:
    """The file, whole; None where there is none. A link is not followed, a pipe not waited for."""
    try:
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise NotTrusted(f"{name}: {exc.strerror}; want a plain file", "no-file") from exc
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise NotTrusted(f"{name}: is no plain file; copy the file itself to the stick", "no-file")
        with open(file, "rb", closefd=False) as source:
            data = source.read(MAX_BYTES[name] + 1)
    except OSError as exc:  # a damaged stick
        raise NotTrusted(f"{name}: {exc.strerror}; copy it to another stick", "no-file") from exc
    finally:
        os.close(file)
    if len(data) > MAX_BYTES[name]:
        raise NotTrusted(f"{name}: larger than {MAX_BYTES[name] >> 10} kB, which it never is; copy it again", "no-file")
    return data


def _is_folder(folder: int, name: str) -> bool:
    with suppress(OSError):
        return stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    return False


def _nearly_settings(folder: Path) -> Iterator[str]:
    """A line for each file whose name is nearly right, at the top or one folder down."""
    files, folders = _entries(folder)
    below = [f"{name}/{file}" for name in folders[:MAX_FOLDERS] for file in _entries(folder / name)[0]]
    for path in sorted([*files, *below]):
        name = path.rpartition("/")[2]
        if name.startswith(".") or name.lower().endswith(OTHERS) or not _is_nearly(name):
            continue
        shown = printable(path)
        if name == SETTINGS:
            yield f"found {shown}: move it to the top of the stick"
        elif name.lower().endswith(".txt"):
            yield f"found {shown}: its name must be {SETTINGS} (Windows hides .txt: View, File name extensions)"
        else:
            yield f"found {shown}: its name must be {SETTINGS}"


def _is_nearly(name: str) -> bool:
    stem, toml, _ = name.lower().partition(".toml")
    letters = _letters(stem)
    alike = "edged" in letters or SequenceMatcher(None, letters, "edgedprovision").ratio() > SIMILAR
    return bool(_NEARLY.search(name)) or (bool(toml) and alike)


def _nearly_release(folder: Path) -> list[str]:
    """A line for each file or folder at the top that may be meant as the release."""
    files, folders = _entries(folder)
    names = [name for name in sorted([*files, *folders]) if _letters(name).startswith("edgedrelease")]
    return [f"found {printable(name)}: a release is a folder, {RELEASE_FOLDER}; copy that, whole" for name in names]


def _letters(name: str) -> str:
    return re.sub("[^a-z]", "", name.lower())


def _entries(folder: Path) -> tuple[list[str], list[str]]:
    """The names of its plain files and of its folders."""
    files, folders = [], []
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in islice(entries, MAX_ENTRIES):
            if entry.is_file(follow_symlinks=False):
                files.append(entry.name)
            elif entry.is_dir(follow_symlinks=False):
                folders.append(entry.name)
    return files, folders


def write_report(folder: Path, text: str) -> None:
    """Leave the report on the stick, in a new file that takes the place of the last report. Raises `NotWritten`."""
    part = f".edged-{secrets.token_hex(8)}.part"
    data = text.encode(errors="backslashreplace")[:MAX_REPORT_BYTES]
    try:
        at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _write_new(at, part, data)
        finally:
            os.close(at)
    except OSError as exc:
        raise NotWritten(f"the stick cannot be written ({exc.strerror}); no report on it", "no-report") from exc


def _write_new(folder: int, part: str, data: bytes) -> None:
    file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644, dir_fd=folder)
    try:
        with open(file, "wb", closefd=True) as out:
            out.write(data)
            out.flush()
            os.fsync(file)
        os.rename(part, REPORT, src_dir_fd=folder, dst_dir_fd=folder)  # of a link, the link itself is replaced
    except OSError:
        with suppress(OSError):
            os.unlink(part, dir_fd=folder)
        raise
    os.fsync(folder)
