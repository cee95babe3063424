"""Values and keys as TOML writes them, and as they may be shown."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from edged.config.schema import Node, node_at
from edged.config.toml_lines import Key
from edged.config.types import MASK, redact

MAX_CHARS = 72  # characters of a value in a message


def toml_value(value: Any) -> str:
    """A value in TOML; Source: toml.io v1.0.0."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{key_part(name)} = {toml_value(item)}" for name, item in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    if isinstance(value, Sequence):
        return f"[{', '.join(toml_value(item) for item in value)}]"
    return str(value)  # numbers, dates


def key_part(name: str) -> str:
    """One part of a key, quoted where TOML asks for it."""
    return name if re.fullmatch("[A-Za-z0-9_-]+", name) else toml_value(name)


def dotted(key: Key) -> str:
    """`cameras.stall1.masks[0]`"""
    parts = (f"[{part}]" if isinstance(part, int) else f".{key_part(part)}" for part in key)
    return "".join(parts).removeprefix(".")


def display_value(key: Key, value: Any) -> str:
    """The value as it may be seen by anyone, in TOML, on one line. Of what holds others, only what it is."""
    here = node_at(key)
    if here is None or here.is_secret:
        return MASK
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return _display_list(value)
    text = toml_value(redact(value) if isinstance(value, str) else value)
    return text if len(text) <= MAX_CHARS else f"{text[:MAX_CHARS]}…"


def _display_list(values: Sequence[Any]) -> str:
    flat = all(isinstance(value, (int, float)) for value in values) and len(values) <= MAX_CHARS // 8
    return toml_value(values) if flat else f"a list of {len(values)}"


def example_line(key: Key) -> str:
    """How the key can be written: `size = [1280, 720]`."""
    here = node_at(key) or Node({})
    given = here.examples or [here.default]
    return f"{dotted(key[-1:])} = {toml_value(given[0])}"
