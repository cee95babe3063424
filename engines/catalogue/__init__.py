"""The model catalogue: the cards beside this file, and those of a site's own directory."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from engines.card import Card, Int8
from engines.errors import CardError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HERE = Path(__file__).parent


class Catalogue(Mapping[str, Card]):
    """Cards by name; one of the package is read when it is asked for."""

    def __init__(self, ours: Mapping[str, Path], extra: Mapping[str, Card]) -> None:
        self._ours, self._extra = ours, extra
        self._read: dict[str, Card] = {}

    def __getitem__(self, name: str) -> Card:
        if name in self._extra:
            return self._extra[name]
        if name not in self._read:
            self._read[name] = read(self._ours[name])
        return self._read[name]

    def __contains__(self, name: object) -> bool:
        return name in self._ours or name in self._extra

    def __iter__(self) -> Iterator[str]:
        yield from self._ours
        yield from self._extra

    def __len__(self) -> int:
        return len(self._ours) + len(self._extra)


def load(extra: Path | None = None) -> Catalogue:
    """Every card by its name, ours first. Raises `CardError` with file, key, got and wanted for one of `extra`."""
    ours = {path.stem: path for path in _files(HERE)}
    theirs = {} if extra is None else {path.stem: read(path) for path in _files(extra)}
    if twice := sorted(ours.keys() & theirs.keys()):
        raise CardError(f"{extra}/{twice[0]}.toml: {twice[0]!r} is a card of ours; give yours another name")
    return Catalogue(ours, theirs)


def read(path: Path) -> Card:
    """The card in one file. Raises CardError with the file and its first mistake."""
    try:
        table = tomllib.loads(path.read_text("utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise CardError(f"{path}: {exc}") from exc
    try:
        card = Card.model_validate(table)
    except ValidationError as exc:
        raise CardError(_first(path, exc)) from exc
    if card.name != path.stem:
        raise CardError(f"{path}: name = {card.name!r}: want {path.stem!r}, as the file is called")
    return card.model_copy(update={"int8": _int8(path.with_suffix(".int8.json"))})


def _int8(path: Path) -> Int8 | None:
    """None where nobody measured it. Raises `CardError`."""
    try:
        return Int8.model_validate(json.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        return None
    except ValidationError as exc:
        raise CardError(_first(path, exc)) from exc
    except (OSError, ValueError) as exc:
        raise CardError(f"{path}: {exc}; measure it again, or remove it") from exc


def _files(directory: Path) -> list[Path]:
    try:
        return sorted(path for path in directory.iterdir() if path.suffix == ".toml")
    except (FileNotFoundError, NotADirectoryError) as exc:
        raise CardError(f"{directory}: not a directory; want one with model cards (*.toml)") from exc
    except OSError as exc:
        raise CardError(f"{directory}: {exc.strerror}; want a directory that this user may read") from exc


def _first(path: Path, error: ValidationError) -> str:
    """`file: key = got: wanted`, and how many more faults there are."""
    faults = error.errors(include_url=False)
    fault = faults[0]
    more = f" ({len(faults) - 1} more)" if len(faults) > 1 else ""
    return f"{path}: {_key(fault['loc'])}{_got(fault)}: {fault['msg'].removeprefix('Value error, ')}{more}"


def _key(loc: tuple[str | int, ...]) -> str:
    return ".".join(str(part) for part in loc) or "card"


def _got(fault: Any) -> str:
    """The value as written; nothing for a missing key or a whole table."""
    if fault["type"] == "missing" or isinstance(fault["input"], dict):
        return ""
    return f" = {fault['input']!r}"
