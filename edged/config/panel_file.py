"""The file that the page writes, `conf.d/60-panel.toml`: drawings of cameras, and nothing else.

The daemon may write this file alone, so nothing but drawings is taken from it: no address, no broker, no command.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edged.config.layers import Layer
from edged.config.toml_lines import Key
from edged.config.toml_text import dotted
from edged.errors import ConfigError

PANEL_FILE = "60-panel.toml"
CAMERA_KEYS = ("masks", "roi")
STALL_KEYS = ("enabled", "floor", "floor_m", "open_sides", "zones")
AISLE_KEYS = ("enabled",)
DOWN_KEYS = ("enabled", "beds")


def check_drawings(layer: Layer) -> None:
    """Raises `ConfigError` with a line for each key that is no drawing."""
    wrong = [
        f"{layer.where(key)} {dotted(key)}: is no drawing, and this file may have nothing else; move it to another file"
        for key in _foreign_keys(layer.values)
    ]
    if wrong:
        raise ConfigError("\n".join(wrong), "no-drawing")


def _foreign_keys(values: Mapping[str, Any]) -> Iterator[Key]:
    yield from ((name,) for name in values if name != "cameras")
    for camera, table in _table(values.get("cameras")).items():
        yield from _others(("cameras", camera), _table(table), (*CAMERA_KEYS, "stall", "aisle", "person_down"))
        for name, allowed in (("stall", STALL_KEYS), ("aisle", AISLE_KEYS), ("person_down", DOWN_KEYS)):
            yield from _others(("cameras", camera, name), _table(_table(table).get(name)), allowed)


def _others(key: Key, table: Mapping[str, Any], allowed: Sequence[str]) -> Iterator[Key]:
    return ((*key, name) for name in table if name not in allowed)


def _table(value: object) -> Mapping[str, Any]:
    """The table; empty for what is none, which the validation finds."""
    return value if isinstance(value, Mapping) else {}


def without_strays(layers: Sequence[Layer]) -> list[Layer]:
    """The layers; of the panel's without the drawings of cameras that no other file has any more."""
    known = {name for layer in layers if not _is_panel(layer) for name in _table(layer.values.get("cameras"))}
    return [_only(layer, known) if _is_panel(layer) else layer for layer in layers]


def _is_panel(layer: Layer) -> bool:
    return Path(layer.name).name == PANEL_FILE


def _only(layer: Layer, known: set[str]) -> Layer:
    cameras = _table(layer.values.get("cameras"))
    kept = {name: table for name, table in cameras.items() if name in known}
    return replace(layer, values={"cameras": kept} if kept else {})
