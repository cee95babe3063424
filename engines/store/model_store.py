"""The model store: a directory of verified ONNX files, one per card, and the hashes it recorded.

Bundled models need no store and no write access. Nothing unverified ever has a model's name:
files arrive in `.partial`, are checked there, and appear in one step.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal
from urllib.parse import urlsplit

from engines.card import Card
from engines.errors import Missing, SourceError, WrongHash
from engines.store import records, tensors
from engines.store.archive import extract, is_zip
from engines.store.disk import copy, file_lock, publish, remove_on_error, sha256, translate_os_errors
from engines.store.fetch import Progress, fetch, no_progress

log = logging.getLogger(__name__)

PACKAGE_ROOT = Path(__file__).parents[1]
EXPORTED = "end2end.onnx"  # what mmdeploy calls the model in its .zip
Trust = Literal["pinned", "recorded", "none"]  # what a file's hash is compared with


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedModel:
    """A model whose hash is right."""

    card: Card
    path: Path
    sha256: str
    trust: Trust
    described: bool  # its tensors were compared with the card; False: onnx is not installed here


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One card, and whether its model is here. Nothing is hashed for this."""

    card: Card
    path: Path
    state: Literal["bundled", "stored", "missing"]
    trust: Trust
    sha256: str | None  # None: neither pinned nor recorded
    bytes: int | None  # None: not here


class ModelStore:
    """Where model files are kept. `mirror` is searched before any download."""

    def __init__(self, root: Path, mirror: Path | None = None) -> None:
        self._root = root
        self._mirror = mirror
        self._records = root / "recorded.json"
        self._partial = root / ".partial"

    def path(self, card: Card) -> Path:
        """The model's file, its hash checked just now. Raises `Missing`, `WrongHash`, `StoreError`."""
        return self._checked(card)[0]

    def verify(self, card: Card) -> VerifiedModel:
        """The model's hash and, where onnx is installed, its tensors. Raises as `path`, and `CardError`."""
        path, digest = self._checked(card)
        return self._verified(card, path, digest, described=tensors.check_tensors(card, path))

    def pull(self, card: Card, progress: Progress = no_progress) -> VerifiedModel:
        """Bring the model here unless it already is, from the mirror or else from its address.

        Raises `SourceError`, `WrongHash`, `CardError`, `StoreError`; the store is then as before.
        """
        try:
            return self.verify(card)
        except (Missing, WrongHash) as exc:
            if card.source.bundled:
                raise
            log.debug("%s", exc)
        with file_lock(self._root):
            return self._install(card, self._obtain(card, progress), self._expected_hash(card))

    def import_(self, card: Card, file: Path, *, replace: bool = False) -> VerifiedModel:
        """Take `file`, an .onnx or a .zip holding one, as the model.

        `replace` forgets the hash recorded before; a pinned one stays. Raises as `pull`.
        """
        if card.source.bundled:
            raise SourceError(f"model {card.name} comes with the package; there is nothing to import")
        with file_lock(self._root):
            wanted = card.source.sha256 if replace else self._expected_hash(card)
            return self._install(card, self._unpacked(card, file), wanted)

    def entries(self, cards: Iterable[Card]) -> list[Entry]:
        return [self._entry(card) for card in cards]

    def _entry(self, card: Card) -> Entry:
        path = self._model_dir(card)
        here = _exists(path)
        return Entry(
            card=card,
            path=path,
            state="missing" if not here else "bundled" if card.source.bundled else "stored",
            trust=self._trust(card),
            sha256=self._expected_hash(card),
            bytes=path.stat().st_size if here else None,
        )

    def _model_dir(self, card: Card) -> Path:
        return PACKAGE_ROOT / card.source.bundled if card.source.bundled else self._root / f"{card.name}.onnx"

    def _expected_hash(self, card: Card) -> str | None:
        return card.source.sha256 or records.read_hashes(self._records).get(card.name)

    def _trust(self, card: Card) -> Trust:
        if card.source.sha256:
            return "pinned"
        return "recorded" if self._expected_hash(card) else "none"

    def _checked(self, card: Card) -> tuple[Path, str]:
        """The model's file and hash."""
        path, wanted = self._model_dir(card), self._expected_hash(card)
        again = "reinstall the package" if card.source.bundled else f"run `edged models pull {card.name}`"
        if not _exists(path):
            raise Missing(f"model {card.name} is not in {path.parent}; {again}")
        if wanted is None:
            raise Missing(f"{path}: its hash was never recorded; delete it, then {again}")
        if (got := sha256(path)) != wanted:
            raise WrongHash(f"{path}: sha256 is {got}, want {wanted}; {again}")
        return path, wanted

    def _verified(self, card: Card, path: Path, digest: str, *, described: bool) -> VerifiedModel:
        return VerifiedModel(card=card, path=path, sha256=digest, trust=self._trust(card), described=described)

    def _obtain(self, card: Card, progress: Progress) -> Path:
        """The model in `.partial`, not yet checked."""
        if (mirrored := self._mirrored(card)) is not None:
            log.info("model %s: taken from %s", card.name, mirrored)
            return self._unpacked(card, mirrored)
        if card.source.url is None:
            raise SourceError(_manual_hint(card))
        return self._downloaded(card, card.source.url, progress)

    def _mirrored(self, card: Card) -> Path | None:
        if self._mirror is None:
            return None
        if not _exists(self._mirror):
            raise SourceError(f"{self._mirror}: the mirror is not there; mount it, or leave --mirror out")
        names = [f"{card.name}.onnx", *([_file_name(card.source.url)] if card.source.url else [])]
        return next((path for name in names if _exists(path := self._mirror / name)), None)

    def _downloaded(self, card: Card, url: str, progress: Progress) -> Path:
        download = self._part(_file_name(url) + ".part")
        fetch(url, download, progress, max_bytes=card.source.max_bytes)
        if not is_zip(download):
            return download.replace(self._part(f"{card.name}.onnx"))
        try:
            return self._unpacked(card, download)
        finally:
            download.unlink(missing_ok=True)

    def _unpacked(self, card: Card, file: Path) -> Path:
        """A copy of the .onnx that `file` is or holds, in `.partial`."""
        part = self._part(f"{card.name}.onnx")
        with remove_on_error(part):
            if is_zip(file):
                extract(file, card.source.member or EXPORTED, part, card.source.max_bytes)
            else:
                copy(file, part, card.source.max_bytes)
        return part

    def _part(self, name: str) -> Path:
        with translate_os_errors(self._partial):
            self._partial.mkdir(exist_ok=True)
        return self._partial / name

    def _install(self, card: Card, part: Path, wanted: str | None) -> VerifiedModel:
        """Check the file in `part`, and only then let it be the model."""
        with remove_on_error(part):
            got = sha256(part)
            if wanted not in (None, got):
                raise WrongHash(_hash_mismatch(card, got, str(wanted)))
            described = tensors.check_tensors(card, part)
            if card.source.sha256 is None:
                records.add_hash(self._records, card.name, got)
            publish(part, self._model_dir(card))
        return self._verified(card, self._model_dir(card), got, described=described)


def _exists(path: Path) -> bool:
    with translate_os_errors(path):
        return path.exists()


def _file_name(url: str) -> str:
    return PurePosixPath(urlsplit(url).path).name


def _hash_mismatch(card: Card, got: str, wanted: str) -> str:
    if card.source.sha256:
        return f"model {card.name}: sha256 is {got}, the card pins {wanted}; get the file of {card.source.page}"
    return (
        f"model {card.name}: sha256 is {got}, first recorded was {wanted}; "
        f"if the change is meant, run `edged models import {card.name} FILE --replace`"
    )


def _manual_hint(card: Card) -> str:
    """How a person makes the model of a card without a download."""
    lines = [f"model {card.name} has no ONNX download with a known hash. On a workstation:"]
    if card.source.checkpoint:
        lines.append(f"get CHECKPOINT from {card.source.checkpoint}")
    lines.append(card.source.export.strip())
    lines.append(f"then here `edged models import {card.name} FILE`, or FILE as {card.name}.onnx in the mirror")
    return "\n".join(lines)
