"""Signed releases: which one is newest in a folder or on a mirror, and its package, checked and on this disk.

A release is what `deploy/release.sh` makes: packages, SHA256SUMS and SHA256SUMS.sig. Nothing of it is looked at
before the signature of the sums holds, and every package is copied first and checked then.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from edged.errors import NotTrusted
from edged.foreign_text import printable
from edged.provisioning.signature import RELEASE, verify
from engines.errors import SourceError
from engines.store.disk import copy, sha256
from engines.store.fetch import Progress, fetch, no_progress

SUMS = "SHA256SUMS"
SIGNATURE = f"{SUMS}.sig"
MAX_SUMS_BYTES = 1 << 16  # of SHA256SUMS, a line for each package
MAX_PACKAGE_BYTES = 2 << 30  # of a package
_LINE = re.compile(r"([0-9a-f]{64}) [ *]([A-Za-z0-9][A-Za-z0-9.+~_-]{0,120})")
_PACKAGE = re.compile(r"edged_([0-9][A-Za-z0-9.+~]*)_([a-z0-9]+)\.deb")


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One package of a release whose sums are signed."""

    version: str  # as dpkg sorts it: 1.0~rc1 before 1.0
    file: str
    sha256: str
    key: str  # fingerprint of the key that signed it


def find_release(source: str, architecture: str, keys: list[str], work: Path, wanted: str | None = None) -> Release:
    """The newest release for this architecture, or that of the `wanted` version; its signed sums are then in `work`.

    Raises `NotTrusted`, and `SourceError` or `StoreError` where the source does not answer.
    """
    sums, signature = (_small(source, name, work) for name in (SUMS, SIGNATURE))
    key = verify(sums, signature, keys, RELEASE, f"{source}/{SUMS}")
    found = [
        Release(version=match[1], file=name, sha256=digest, key=key)
        for name, digest in parse_sums(sums).items()
        if (match := _PACKAGE.fullmatch(name)) and match[2] == architecture and wanted in (None, match[1])
    ]
    if not found:
        want = f"want edged_{wanted or 'VERSION'}_{architecture}.deb"
        raise NotTrusted(f"{source}: has no such release for {architecture}; {want}", "none")
    return max(found, key=lambda release: version_key(release.version))


def obtain(source: str, release: Release, work: Path, progress: Progress = no_progress) -> Path:
    """The release's package in `work`, its hash checked there. Raises `NotTrusted`, `SourceError`, `StoreError`."""
    package = work / release.file
    _bring(source, release.file, package, MAX_PACKAGE_BYTES, progress)
    if (got := sha256(package)) != release.sha256:
        package.unlink()
        raise NotTrusted(f"{release.file}: sha256 is {got}, signed is {release.sha256}; copy it again", "wrong-hash")
    return package


def parse_sums(data: bytes) -> dict[str, str]:
    """The sha256 of each file by its name. Raises `NotTrusted` for a line that is not one of sha256sum."""
    table: dict[str, str] = {}
    for line in data.decode("ascii", errors="replace").splitlines():
        match = _LINE.fullmatch(line)
        if match is None or match[2] in table:
            raise NotTrusted(
                f"{SUMS}: {printable(line)!r}: want one line of sha256sum per file, without folders", "sums"
            )
        table[match[2]] = match[1]
    return table


def package_version(version: str) -> str:
    """A version of Python's as dpkg sorts it; deploy/deb.sh does the same: 1.0rc1 is 1.0~rc1."""
    return re.sub(r"(a|b|rc)([0-9])", r"~\1\2", re.sub(r"\.?dev", "~~dev", version))


def version_key(version: str) -> list[tuple[list[int], int]]:
    """A key that sorts as `dpkg --compare-versions` does. Source: deb-version(7)."""
    parts = re.findall(r"([^0-9]*)([0-9]*)", version)
    return [(_letters(text), int(number or 0)) for text, number in parts]


def _letters(text: str) -> list[int]:
    """`~` before the end, the end before letters, letters before the rest."""
    order = [-1 if char == "~" else ord(char) if char.isalpha() else ord(char) + 256 for char in text]
    return [*order, 0]


def _small(source: str, name: str, work: Path) -> bytes:
    file = work / name
    try:
        _bring(source, name, file, MAX_SUMS_BYTES)
    except (SourceError, FileNotFoundError) as exc:
        wanted = "sign the release: ssh-keygen -Y sign -f KEY -n edged-release SHA256SUMS"
        raise NotTrusted(f"{source}: no {name} ({exc}); {wanted if name == SIGNATURE else 'name a release'}") from exc
    return file.read_bytes()


def _bring(source: str, name: str, to: Path, max_bytes: int, progress: Progress = no_progress) -> None:
    """Copy or download one file; a link in a folder is not followed."""
    if urlsplit(source).scheme == "https":
        fetch(f"{source.rstrip('/')}/{name}", to, progress, max_bytes=max_bytes)
        return
    if "://" in source:
        raise SourceError(f"{source}: want a folder or an address that begins with https://")
    file = Path(source) / name
    if file.is_symlink() or not file.is_file():
        raise SourceError(f"{file}: no such file")
    copy(file, to, max_bytes)
