"""Problems as lines of text: `configs/barn.toml:14 cameras.stall1.fps = 300: must be 0..240 Hz; lower it`.

Upstream: pydantic's errors and cross-checks. Downstream: the text of `ConfigError`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from edged.config.layers import Layer
from edged.config.schema import node_at, suggest_key
from edged.config.toml_lines import Key
from edged.config.toml_text import display_value, dotted, example_line
from edged.config.types import MASK
from edged.errors import ConfigError

# What pydantic found -> what is wanted; what to do.
SENTENCES = {
    "missing": ("must be given", "add {example}"),
    "extra_forbidden": ("is not a known key", "{nearest}"),
    "model_type": ("must be a table", "write its keys below a [{key}] header"),
    "dict_type": ("must be a table", "write its keys below a [{key}] header"),
    "int_type": ("must be {wanted}", "write digits, without quotes"),
    "float_type": ("must be {wanted}", "write digits, without quotes"),
    "finite_number": ("must be {wanted}", "write digits"),
    "bool_type": ("must be {wanted}", "write it without quotes"),
    "string_type": ("must be {wanted}", "write it in quotes"),
    "path_type": ("must be {wanted}", "write it in quotes"),
    "tuple_type": ("must be {wanted}", "write {example}"),
    "literal_error": ("must be {noun}", "correct it"),
    "greater_than": ("must be {limits}", "raise it"),
    "greater_than_equal": ("must be {limits}", "raise it"),
    "less_than_equal": ("must be {limits}", "lower it"),
    "too_short": ("must be {wanted}", "add what is missing"),
    "too_long": ("must be {wanted}", "remove what is too much"),
    "string_too_short": ("must not be empty", "write {example}"),
    "string_too_long": ("must be {wanted}", "shorten it"),
    "value_error": ("{message}", ""),
}
OTHER_SENTENCE = ("{message}", "correct it")
WITHOUT_VALUE = {"missing", "extra_forbidden"}


@dataclass(frozen=True, slots=True, order=True)
class ConfigProblem:
    """One line, sortable by where it stands."""

    rank: int  # of its source: files in the order they are read, environment, credentials
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Layers:
    """All sources, in rising priority."""

    ordered: tuple[Layer, ...]

    def owner_rank(self, key: Key) -> int | None:
        """Which source has the last word on the key, or else on the nearest table above it."""
        for end in range(len(key), 0, -1):
            for rank in reversed(range(len(self.ordered))):
                if key[:end] in self.ordered[rank].lines:
                    return rank
        return None

    def origin(self, key: Key) -> str:
        """`configs/barn.toml:14`, `environment EDGED_MQTT__HOST`, `credential …/mqtt.password`, or `default`."""
        rank = self.owner_rank(key)
        if rank is None or key not in self.ordered[rank].lines:
            return "default"
        return self.ordered[rank].origin(key)

    def problem(self, key: Key, sentence: str, got: Any = None) -> ConfigProblem:
        """`file:line key = got: sentence`; without `got` the value is not told."""
        rank = self.owner_rank(key)
        if rank is None:
            return ConfigProblem(0, 0, f"{dotted(key) or 'configuration'}: {sentence}")
        layer = self.ordered[rank]
        value = "" if got is None else f" = {MASK if layer.hidden else display_value(key, got)}"
        return ConfigProblem(rank, layer.line(key), f"{layer.where(key)} {layer.key_name(key)}{value}: {sentence}")

    def problems(self, error: ValidationError, above: int = 0) -> list[ConfigProblem]:
        """Every error of a validation, the first `above` parts of its places left off."""
        faults = filter(_is_separate, error.errors(include_url=False))
        return [self._from_fault(fault["type"], fault["loc"][above:], fault) for fault in faults]

    def _from_fault(self, code: str, key: Key, fault: Any) -> ConfigProblem:
        got = fault["input"]
        if key[-1:] == ("[key]",):  # the name of a table is wrong, not what is in it
            key, got = key[:-1], None
        if code == "missing" and isinstance(key[-1], int):  # a list that ends too early
            code, key = "too_short", key[:-1]
        if code in WITHOUT_VALUE or (code == "value_error" and isinstance(got, dict)):
            got = None
        return self.problem(key, _sentence(code, key, fault["msg"]), got)


def _is_separate(fault: Any) -> bool:
    """A list that is too short only because its bad elements are left out is not another problem."""
    return bool(fault["type"] != "too_short" or len(fault["input"]) < fault["ctx"]["min_length"])


def _sentence(code: str, key: Key, message: str) -> str:
    wanted, do = SENTENCES.get(code, OTHER_SENTENCE)
    return (f"{wanted}; {do}" if do else wanted).format_map(_placeholders(key, message))


def _placeholders(key: Key, message: str) -> dict[str, str]:
    """What the sentences may speak of; an unknown key has no wanted value."""
    facts = {"message": message.removeprefix("Value error, "), "key": dotted(key)}
    here = node_at(key)
    if here is None:
        near = suggest_key(key)
        facts["nearest"] = f"did you mean {near}?" if near else "remove it (`edged config reference` lists all keys)"
        return facts
    return facts | {"wanted": here.expected, "noun": here.noun, "limits": here.limits, "example": example_line(key)}


def config_error(problems: Iterable[ConfigProblem]) -> ConfigError:
    return ConfigError("\n".join(dict.fromkeys(problem.text for problem in sorted(problems))))
