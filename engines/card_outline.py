"""Of each card of the catalogue what a configuration is checked against: its task, and the classes of a detector.

Reading a whole card takes its validator, which is as long in the making as all other checks. Those of the package need
none: tests read them. Those of a site are validated as ever.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from engines.classes import CLASSES

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from engines.card import Card

OURS = Path(__file__).parent / "catalogue"


class CardOutline(NamedTuple):
    """What is asked of a card before it is loaded."""

    name: str
    task: str
    classes: tuple[str, ...] | None  # that a detector knows; None: it is no detector
    schema: str | None = None  # of the keypoints of a pose model; None: it is none


class Outlines(Mapping[str, CardOutline]):
    """By name; each is read when it is asked for."""

    def __init__(self, names: tuple[str, ...], read: Callable[[str], CardOutline]) -> None:
        self._names, self._read = names, cache(read)

    def __getitem__(self, name: str) -> CardOutline:
        if name not in self._names:
            raise KeyError(name)
        return self._read(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def outlines(extra: Path | None = None) -> Outlines:
    """Of every card, ours first. Raises `CardError` with file, key, got and wanted for a card of `extra`."""
    if extra is None:
        return Outlines(tuple(sorted(path.stem for path in OURS.glob("*.toml"))), _ours)
    cards: Mapping[str, Card] = import_module("engines.catalogue").load(extra)
    return Outlines(tuple(cards), lambda name: _outline(cards[name]))


def _ours(name: str) -> CardOutline:
    table = tomllib.loads((OURS / f"{name}.toml").read_text("utf-8"))
    written = table["detect"]["classes"] if "detect" in table else None
    classes = CLASSES[written] if isinstance(written, str) else written
    schema = table["pose"]["schema"] if "pose" in table else None
    return CardOutline(name, table["task"], None if classes is None else tuple(classes), schema)


def _outline(card: Card) -> CardOutline:
    schema = card.pose.schema_name if card.pose else None
    return CardOutline(card.name, card.task, card.detect.classes if card.detect else None, schema)
