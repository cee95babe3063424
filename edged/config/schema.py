"""The configuration tree as JSON Schema, and the node of one key in it. Downstream: messages, reference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from typing import Any, NamedTuple

from pydantic.json_schema import GenerateJsonSchema

from edged.config.toml_lines import Key
from edged.config.tree import Config

NAME = "<name>"  # a freely chosen name, as of a camera
NOUNS = {
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "path": "a path",
    "name": "a name of a-z 0-9 _ -",
    "topic": "topic levels",
    "object": "a table",
    "point": "a point [x, y]",
}
OTHER_WORDS = {  # what a key is called elsewhere
    "source": ("url", "uri", "address", "rtsp", "stream", "path", "input", "file", "video", "ip", "host"),
    "username": ("user", "login", "name"),
    "password": ("pass", "passwd", "pwd", "secret"),
    "host": ("broker", "server", "hostname", "address", "url", "ip"),
    "fps": ("framerate", "frame_rate", "rate", "hz"),
    "size": ("resolution", "width", "height"),
    "rotate": ("rotation", "orientation", "flip"),
    "classes": ("objects", "labels", "class", "detect"),
    "thresholds": ("threshold", "min_score", "confidence", "score"),
    "ca": ("ca_file", "cafile", "ca_cert", "cacert", "cacerts", "tls_ca"),
    "cert": ("certificate", "certfile", "tls_client_cert", "client_cert"),
    "key": ("keyfile", "client_key", "tls_client_key"),
    "base_topic": ("base", "topic_prefix", "prefix", "topic"),
    "id": ("client_id", "device_id", "name"),
}
PLURALS = {"integer": "whole numbers", "number": "numbers", "string": "texts", "object": "tables"}
PLURALS |= {"point": "points [x, y]"}


class _Generator(GenerateJsonSchema):
    """As pydantic's, but plain defaults are taken as they are: an encoder for each takes half of the time."""

    def encode_default(self, dft: Any) -> Any:
        return dft if dft is None or isinstance(dft, str | int | float) else super().encode_default(dft)


@cache
def schema() -> dict[str, Any]:
    """JSON Schema, draft 2020-12; the keyword `unit` is an extension."""
    dialect = "https://json-schema.org/draft/2020-12/schema"
    made = Config.model_json_schema(schema_generator=_Generator)
    return {"$schema": dialect} | made | {"title": "edged configuration"}


class Node(NamedTuple):
    """What is allowed at one key: its part of the schema, references and `or null` resolved."""

    keywords: Mapping[str, Any]

    @property
    def kind(self) -> str:
        return str(self.keywords.get("type"))

    @property
    def is_secret(self) -> bool:
        return self.keywords.get("format") == "password"

    @property
    def is_path(self) -> bool:
        return self.keywords.get("format") == "path"

    @property
    def is_table(self) -> bool:
        """Whether it is a table with a fixed set of keys, or of tables; not a table of free names and plain values."""
        free = self._value_of_any_name
        return self.kind == "object" and (free is None or free.kind == "object")

    @property
    def children(self) -> dict[str, Node]:
        """The keys below, in the tree's order; a table of free names has one child, `<name>`."""
        if free := self._value_of_any_name:
            return {NAME: free}
        return {name: Node(_resolve(facts)) for name, facts in self.keywords.get("properties", {}).items()}

    def child(self, part: str | int) -> Node | None:
        """The child of this name or array index; None if there is none."""
        if isinstance(part, str):
            return self._value_of_any_name or self.children.get(part)
        places = self.keywords.get("prefixItems", ())
        facts = places[part] if part < len(places) else self.keywords.get("items")
        unit = {"unit": self.unit} if self.unit else {}
        return Node(_resolve(unit | facts)) if facts else None

    @property
    def _value_of_any_name(self) -> Node | None:
        """The node below any name, if names are free."""
        named = [*self.keywords.get("patternProperties", {}).values(), self.keywords.get("additionalProperties")]
        return Node(_resolve(named[0])) if named[0] else None

    @property
    def description(self) -> str:
        return str(self.keywords.get("description", ""))

    @property
    def default(self) -> Any:
        """None without one."""
        return self.keywords.get("default")

    @property
    def is_optional(self) -> bool:
        """Whether it has no value when left out."""
        return "default" in self.keywords and self.default is None

    @property
    def examples(self) -> list[Any]:
        return list(self.keywords.get("examples", []))

    @property
    def expected(self) -> str:
        """What to write, in words: `a whole number, 1..65535`."""
        return ", ".join(filter(None, (self.noun, self.limits)))

    @property
    def noun(self) -> str:
        if choices := self.choices:
            return " or ".join(choices) if len(choices) < 3 else f"one of {', '.join(choices)}"
        if self.is_list:
            return f"{self._count()} {self._element.plural}"
        if free := self._value_of_any_name:
            return f"a table of {free.plural}"
        return NOUNS.get(str(self.keywords.get("format"))) or NOUNS[self.kind]

    @property
    def is_list(self) -> bool:
        """A point counts as one value."""
        return self.kind == "array" and self.keywords.get("format") != "point"

    def is_misshapen(self, value: object) -> bool:
        """Whether the value, or something in it, is a list where none belongs, or none where one does."""
        if not isinstance(value, list | tuple):
            return self.kind == "array"
        return self.kind != "array" or any(map(self._element.is_misshapen, value))

    @property
    def plural(self) -> str:
        if self.is_list:
            return f"lists, each of {self.noun}"
        return PLURALS.get(str(self.keywords.get("format"))) or PLURALS[self.kind]

    @property
    def choices(self) -> list[str]:
        only = [self.keywords["const"]] if "const" in self.keywords else []
        return [str(choice) for choice in self.keywords.get("enum", only)]

    @property
    def unit(self) -> str:
        return str(self.keywords.get("unit", ""))

    @property
    def limits(self) -> str:
        """Bounds and unit: `0..240 Hz`, `above 0 px`, `at most 80 characters`; empty without any."""
        facts = self.keywords
        if self.kind == "array":
            return self._element.limits
        if self.kind == "string":
            most = facts.get("maxLength")
            return f"at most {most} characters" if most else "not empty" if facts.get("minLength") else ""
        words = _range_text(facts.get("minimum"), facts.get("maximum"), above=facts.get("exclusiveMinimum"))
        return f"{words} {self.unit}".strip() if words else self.unit and f"in {self.unit}"

    @property
    def _element(self) -> Node:
        """The node of a list's first element; no list of the tree mixes types."""
        return Node(
            _resolve({"unit": self.unit} | [*self.keywords.get("prefixItems", ()), self.keywords.get("items")][0])
        )

    def _count(self) -> str:
        least, most = self.keywords.get("minItems"), self.keywords.get("maxItems")
        if least == most and least is not None:
            return str(least)
        if (least, most) == (1, None):
            return "one or more"
        return f"a list of {_range_text(least, most)}".strip() if least is None else _range_text(least, most)


def _range_text(low: float | None, high: float | None, *, above: float | None = None) -> str:
    if above is None and low is not None and high is not None:
        return f"{low:g}..{high:g}"
    lowest = f"above {above:g}" if above is not None else "" if low is None else f"at least {low:g}"
    highest = "" if high is None else f"at most {high:g}"
    return ", ".join(filter(None, (lowest, highest)))


def _resolve(keywords: Mapping[str, Any]) -> dict[str, Any]:
    """The keywords with references followed and `or null` dropped; those nearer to the key override."""
    merged = dict(keywords)
    for member in keywords.get("anyOf", ()):
        if member.get("type") != "null":
            merged = _resolve(member) | merged
    if reference := keywords.get("$ref"):
        merged = _resolve(schema()["$defs"][reference.rsplit("/", 1)[-1]]) | merged
    return merged


def node_of_schema(keywords: Mapping[str, Any]) -> Node:
    """The node of a JSON Schema outside the tree."""
    return Node(_resolve(keywords))


def root() -> Node:
    return Node(schema())


def node_at(key: Key) -> Node | None:
    """The node of this key; None for an unknown one."""
    here: Node | None = root()
    for part in key:
        here = here and here.child(part)
    return here


def all_keys(here: Node | None = None, key: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every key, a table before the keys in it."""
    for name, child in (here or root()).children.items():
        yield (*key, name)
        yield from all_keys(child, (*key, name))


def suggest_key(key: Key) -> str | None:
    """The key that an unknown one probably means: a similar spelling, else another word, else one of another table."""
    name, table = str(key[-1]).lower(), node_at(key[:-1])
    known = table.children if table else {}
    near = get_close_matches(name, known, n=1)
    meant = (other for other, words in OTHER_WORDS.items() if name.replace("-", "_") in words and other in known)
    elsewhere = (".".join(other) for other in all_keys() if other[-1] == name)
    return next(iter(near), None) or next(meant, None) or next(elsewhere, None)
