"""The configuration as text: the annotated reference, what is in effect, and what a reload would change."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from edged.config.messages import Layers
from edged.config.schema import NAME, Node, node_at, root
from edged.config.toml_lines import Key
from edged.config.toml_text import dotted, toml_value
from edged.config.tree import Config
from edged.config.types import MASK, redact

WIDTH = 110
EXAMPLE = "example"  # name of the camera in the reference
HEADER = """\
# Every key of edged's configuration with its default, as `edged config reference` prints it.
# Copy what you change, not the whole. Read in this order, the later over the earlier:
#   /etc/edged/edged.toml, then /etc/edged/conf.d/*.toml by name (tables are merged, cameras by their names);
#   variables: EDGED_MQTT__HOST is mqtt.host, EDGED_CAMERAS__STALL1__SIZE="[1280, 720]" is cameras.stall1.size;
#   systemd credentials: files called like the key, as mqtt.password or cameras.stall1.password.
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
    """Its sentence, what is wanted, and its default; without a default, an example behind #."""
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
    """What is in effect, as TOML with every secret masked; with `layers`, each key's origin beside it."""
    text = []
    for key, values in _tables(config.model_dump(mode="json"), ()):
        if key:
            text.append(f"\n[{dotted(key)}]")
        for name, value in values.items():
            here = (*key, name)
            origin = f"  # {layers.origin(here)}" if layers else ""
            text.append(f"{dotted((name,))} = {toml_value(_redacted(here, value))}{origin}")
    return "\n".join(text) + "\n"


def dump(values: Mapping[str, Any]) -> str:
    """Values as they stand in a file, secrets and all."""
    text = []
    for key, own in _tables(values, ()):
        text += [f"\n[{dotted(key)}]"] if key else []
        text += [f"{dotted((name,))} = {toml_value(value)}" for name, value in own.items()]
    return "\n".join(text).lstrip("\n") + "\n"


def _tables(values: Mapping[str, Any], key: Key) -> Iterator[tuple[Key, dict[str, Any]]]:
    """Each table with its own keys; those without a value are left out, as TOML has no word for it."""
    below = {name for name in values if (here := node_at((*key, name))) and here.is_table}
    own = {name: value for name, value in values.items() if name not in below and value is not None}
    if own or not key:
        yield key, own
    for name in values:
        if name in below and values[name] is not None:
            yield from _tables(values[name], (*key, name))


def _redacted(key: Key, value: Any) -> Any:
    here = node_at(key)
    if here and here.is_secret:
        return MASK if value else ""
    return redact(value) if isinstance(value, str) else value


def changed_keys(old: Config, new: Config) -> list[str]:
    """The keys that differ, dotted, in the tree's order; a camera that came or went is one of them."""
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
