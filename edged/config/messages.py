"""Problems as lines of text: `configs/barn.toml:14 cameras.stall1.fps = 300: must be 0..240 Hz; lower it`.

Upstream: pydantic's errors, `config_check`. Downstream: the text of `ConfigError`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from edged.config.layers import Layer
from edged.config.renamed import advice
from edged.config.schema import NAME, Node, node_at, suggest_key
from edged.config.toml_lines import Key
from edged.config.toml_text import dotted, toml_value
from edged.errors import ConfigError
from edged.secret_address import MASK, redact_value
from edged.units import plural

MAX_CHARS = 72  # of a value in a message
SECRET_NAMES = frozenset({"password", "token", "websocket_path"})  # last parts of the keys that the schema calls secret
# pydantic's error type -> what is wanted; what to do.
SENTENCES = {
    "missing": ("must be given", "add {example}"),
    "extra_forbidden": ("is not a known key", "{advice}"),
    "model_type": ("must be a table", "write its keys below a [{header}] header"),
    "dict_type": ("must be a table", "write its keys below a [{header}] header"),
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
    "too_long": ("must be {wanted}", "remove the rest"),
    "string_too_short": ("must not be empty", "write {example}"),
    "string_too_long": ("must be {wanted}", "shorten it"),
    "value_error": ("{message}", ""),
}
OTHER_SENTENCE = ("{message}", "correct it")
WITHOUT_VALUE = {"missing", "extra_forbidden"}


class ConfigProblem(NamedTuple):
    """One line, sortable by its place."""

    rank: int  # of its source: files in reading order, environment, credentials
    line: int
    text: str


class Layers(NamedTuple):
    """All sources, in rising priority."""

    ordered: tuple[Layer, ...]
    unread: Path | None = None  # a folder of credentials that only root may read

    def owner_rank(self, key: Key) -> int | None:
        """The rank of the last source that gives the key, or else the nearest table above it; None: no source does."""
        for end in range(len(key), 0, -1):
            for rank in reversed(range(len(self.ordered))):
                if key[:end] in self.ordered[rank].lines:
                    return rank
        return None

    def _giver_rank(self, key: Key, value: Any) -> int | None:
        """The rank of the last source that gives this value; where none does, or it is a table, as `owner_rank`."""
        ranks = () if value is None or isinstance(value, dict | list) else reversed(range(len(self.ordered)))
        given = (rank for rank in ranks if self.ordered[rank].value(key) == value)
        return next(given, self.owner_rank(key))

    def origin(self, key: Key) -> str:
        """`configs/barn.toml:14`, `environment EDGED_MQTT__HOST`, `credential …/mqtt.password`, or `default`."""
        rank = self.owner_rank(key)
        if rank is None or key not in self.ordered[rank].lines:
            return "default"
        return self.ordered[rank].origin(key)

    def problem(self, key: Key, sentence: str, got: Any = None) -> ConfigProblem:
        """`file:line key = got: sentence`; None as `got` leaves the value out."""
        return self._problem(key, sentence, got, display_value)

    def contradiction(self, key: Key, sentence: str, got: Any = None) -> ConfigProblem:
        """As `problem`, of a valid key and value. The schema is not asked: it takes longer to make than all checks."""
        return self._problem(key, sentence, got, _display_valid)

    def _problem(self, key: Key, sentence: str, got: Any, display: Callable[[Key, Any], str]) -> ConfigProblem:
        rank = self._giver_rank(key, got)
        if rank is None:
            return ConfigProblem(0, 0, f"{dotted(key) or 'configuration'}: {sentence}")
        layer = self.ordered[rank]
        value = "" if got is None else f" = {MASK if layer.hidden else display(key, got)}"
        return ConfigProblem(rank, layer.line(key), f"{layer.where(key)} {layer.key_name(key)}{value}: {sentence}")

    def problems(
        self, error: ValidationError, keep: Callable[[str], bool] = lambda message: True
    ) -> list[ConfigProblem]:
        """Every error of a validation whose message `keep` takes."""
        every = error.errors(include_url=False)
        misnamed = {_suggested(fault["loc"]) for fault in every if fault["type"] == "extra_forbidden"}
        faults = [fault for fault in every if _is_separate(fault, misnamed) and keep(fault["msg"])]
        misshapen = {key: value for key, value in self._lists(faults) if (node_at(key) or Node({})).is_misshapen(value)}
        others = [fault for fault in faults if _named(fault["loc"]) not in misshapen]
        return [
            *(self.problem(key, _sentence("tuple_type", key, ""), value) for key, value in misshapen.items()),
            *(self._from_fault(fault["type"], fault["loc"], fault) for fault in others),
        ]

    def _lists(self, faults: Iterable[Any]) -> Iterator[tuple[Key, Any]]:
        """The whole values of lists that have a fault."""
        for key in dict.fromkeys(_named(fault["loc"]) for fault in faults):
            rank, here = self.owner_rank(key), node_at(key)
            value = None if rank is None else self.ordered[rank].value(key)
            if here is not None and here.is_list and value is not None:
                yield key, value

    def _from_fault(self, code: str, key: Key, fault: Any) -> ConfigProblem:
        got = fault["input"]
        if key[-1:] == ("[key]",):  # the table's name is invalid, not its content
            key, got = key[:-1], None
        if code == "missing" and isinstance(key[-1], int):  # a list that ends too early
            code, key = "too_short", key[:-1]
        if code in WITHOUT_VALUE or (code == "value_error" and isinstance(got, dict)):
            got = None
        return self.problem(key, _sentence(code, key, fault["msg"]), got)


def _named(key: Key) -> Key:
    """The key without places in lists."""
    return tuple(itertools.takewhile(lambda part: isinstance(part, str), key))


def _is_separate(fault: Any, misnamed: Set[Key]) -> bool:
    """False for what another error explains: invalid elements make a list too short, a misspelt key leaves its own out.

    `misnamed`: the keys that unknown ones are taken for.
    """
    if fault["type"] == "missing":
        return fault["loc"] not in misnamed
    return bool(fault["type"] != "too_short" or len(fault["input"]) < fault["ctx"]["min_length"])


def _suggested(key: Key) -> Key:
    return (*key[:-1], suggest_key(key) or "")


def _sentence(code: str, key: Key, message: str) -> str:
    wanted, do = SENTENCES.get(code, OTHER_SENTENCE)
    return (f"{wanted}; {do}" if do else wanted).format_map(_placeholders(key, message))


def _placeholders(key: Key, message: str) -> dict[str, str]:
    """The values of the sentences' placeholders."""
    values = {"message": message.removeprefix("Value error, "), "header": _header(key)}
    here = node_at(key)
    if here is None:
        return values | {"advice": _advice(key)}
    example = "" if here.is_table else example_line(key)
    return values | {"wanted": here.expected, "noun": here.noun, "limits": here.limits, "example": example}


def _header(key: Key) -> str:
    """The header of the table that is wanted at a key; `cameras.NAME` also for a key of a camera without its name."""
    here, above = node_at(key), node_at(key[:-1])
    if here is not None and here.is_table and NAME in here.children:
        return f"{dotted(key)}.NAME"
    unnamed = above is not None and above.is_table and NAME in above.children
    if above is not None and unnamed and key[-1] in above.children[NAME].children:
        return f"{dotted(key[:-1])}.NAME"
    return dotted(key)


def _advice(key: Key) -> str:
    if renamed := advice(key):
        return renamed
    near = suggest_key(key)
    if key[0] == "profiles" and near is not None and near.count("."):
        return "a profile does not change it; set it in the camera's own table"
    if near == key[-1]:  # known, but not in this table
        return f"{near} stands outside of all tables, or is a table [{near}] itself; move it there"
    return f"did you mean {near}?" if near else "remove it (`edged config reference` lists all keys)"


def display_value(key: Key, value: Any) -> str:
    """The value on one line of TOML, without secrets; a table or a long list only in words."""
    here = node_at(key)
    if here is None or here.is_secret:
        return MASK
    if isinstance(value, Mapping):
        return "a table"
    if here.is_table and _is_list(value):
        return _counted(value)
    return _short(value)


def _display_valid(key: Key, value: Any) -> str:
    """The same of a value that has the type of its key."""
    return MASK if SECRET_NAMES.intersection(key) else _short(value)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _counted(values: Sequence[Any]) -> str:
    return f"a list of {plural(len(values), 'value')}"


def _short(value: Any) -> str:
    text = toml_value(_redacted(value))
    if _is_list(value):
        return text if 0 < len(text) <= MAX_CHARS else _counted(value)
    return text if len(text) <= MAX_CHARS else f"{text[:MAX_CHARS]}…"


def _redacted(value: Any) -> Any:
    """The value without passwords, at any depth of a list; a table in a list is masked whole."""
    if isinstance(value, str):
        return redact_value(value)
    if isinstance(value, Mapping):
        return MASK
    return [_redacted(item) for item in value] if isinstance(value, Sequence) else value


def example_line(key: Key) -> str:
    """How the key can be written, its whole list too: `size = [1280, 720]`."""
    key = _named(key)
    here = node_at(key) or Node({})
    value = here.examples[0] if here.examples else here.default
    return f"{dotted(key[-1:])} = {'…' if value is None else toml_value(value)}"


def config_error(problems: Iterable[ConfigProblem]) -> ConfigError:
    return ConfigError("\n".join(dict.fromkeys(problem.text for problem in sorted(problems))))
