"""Values and keys as TOML text. tomli-w writes it; each list is put on one line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tomli_w

from edged.config.toml_lines import Key


def dump(values: Mapping[str, Any]) -> str:
    """A TOML document of these values, secrets included."""
    text, open_lists = "", 0
    for line in tomli_w.dumps(values, indent=0).removesuffix("\n").split("\n"):
        if closes := line.startswith("]"):
            text = text.removesuffix(", ")
        open_lists += line.endswith("[") - closes
        text += line + ("\n" if open_lists == 0 else " " if line.endswith(",") else "")
    return text


def toml_value(value: Any) -> str:
    """One value in TOML, on one line."""
    return dump({"v": [[value]]}).removeprefix("v = [[").removesuffix("]]\n")


def key_part(name: str) -> str:
    """One part of a key, quoted where TOML requires it."""
    return tomli_w.dumps({name: 0}).removesuffix(" = 0\n")


def dotted(key: Key) -> str:
    """`cameras.stall1.masks[0]`"""
    parts = (f"[{part}]" if isinstance(part, int) else f".{key_part(part)}" for part in key)
    return "".join(parts).removeprefix(".")
