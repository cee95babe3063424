"""The configuration as text: the annotated reference, what is in effect, and what a reload would change."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

from edged.config.messages import Layers
from edged.config.schema import NAME, Node, node_at, root
from edged.config.toml_lines import Key, key_lines
from edged.config.toml_text import dotted, dump, toml_value
from edged.config.tree import Config
from edged.secret_address import MASK, redact_value

WIDTH = 110
EXAMPLE = "example"  # name of the camera in the reference
HEADER = """\
# Every key of edged's configuration with its default, as `edged config reference` prints it.
# Copy the keys you change, not the whole file. Sources, later ones override earlier ones:
#   /etc/edged/edged.toml, then /etc/edged/conf.d/*.toml by name (tables are merged, cameras by their names);
#   variables: EDGED_MQTT__HOST is mqtt.host, EDGED_CAMERAS__STALL1__SIZE="[1280, 720]" is cameras.stall1.size;
#   systemd credentials: files named like the key, as mqtt.password or cameras.stall1.password.
# A key behind # has no default; its value here is an example.
"""


def reference() -> str:
    """All keys, defaults, units, bounds, choices and sentences, as TOML that loads."""
    return HEADER + "".join(_table((), root(), off=False))


def _table(key: tuple[str, ...], table: Node, *, off: bool) -> Iterator[str]:
    """The table's text; `off`: every line is commented out."""
    children = table.children.items()
    if key and NAME not in table.children:
        yield f"\n\n{_comment(table.description)}{'#' if off else ''}[{dotted(key)}]\n"
    elif key:
        yield f"\n\n{_comment(table.description)}"
    for name, child in children:
        if not child.is_table:
            yield _key(name, child, off=off)
    for name, child in children:
        if child.is_table:
            free = name == NAME
            yield from _table((*key, EXAMPLE if free else name), child, off=off or free or child.is_optional)


def _key(name: str, child: Node, *, off: bool) -> str:
    """Its description, what is wanted, and its default; without a default, an example behind #."""
    given = child.default if child.default is not None else child.examples[0]
    about = _comment(f"{child.description} ({child.expected})")
    if child.examples and child.default is not None:
        about += f"# As in {name} = {toml_value(child.examples[0])}\n"
    hidden = "#" if off or child.default is None else ""
    return f"\n{about}{hidden}{name} = {toml_value(given)}\n"


def _comment(text: str) -> str:
    lines = textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False)
    return "".join(f"# {line}\n" for line in lines)


def effective(config: Config, layers: Layers | None = None) -> str:
    """What is in effect, as TOML with every secret masked; with `layers`, each key's origin after it."""
    text = dump(_redacted((), config.model_dump(mode="json", exclude_none=True)))
    if layers is None:
        return text
    keys: dict[int, Key] = {}  # by line; of a list and its elements, the list
    for key, place in sorted(key_lines(text).items(), key=lambda found: -len(found[0])):
        keys[place] = key
    return "\n".join(
        f"{line}  # {layers.origin(keys[place])}" if place in keys and not line.startswith("[") else line
        for place, line in enumerate(text.split("\n"), 1)
    )


def _redacted(key: Key, value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _redacted((*key, name), item) for name, item in value.items()}
    here = node_at(key)
    if here and here.is_secret:
        return MASK if value else ""
    return redact_value(value) if isinstance(value, str) else value


def changed_keys(old: Config, new: Config) -> list[str]:
    """The keys that differ, dotted, in the tree's order; an added or removed camera is one key."""
    return [dotted(key) for key in _changed(old.model_dump(), new.model_dump(), ())]


def _changed(old: Any, new: Any, key: Key) -> Iterator[Key]:
    here = node_at(key) if key else root()
    if old == new:
        return
    if not (here and here.is_table and isinstance(old, dict) and isinstance(new, dict)):
        yield key
        return
    for name in [*old, *(name for name in new if name not in old)]:
        yield from _changed(old.get(name), new.get(name), (*key, name))
