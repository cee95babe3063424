"""What is left of a configuration when its invalid keys are taken out, so that one run checks all the others too.

Upstream: the layers of `load`. Downstream: `config_check`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import deepcopy
from typing import Any, NamedTuple

from pydantic import ValidationError

from edged.config.load import merged
from edged.config.messages import ConfigProblem, Layers
from edged.config.schema import NAME, node_at
from edged.config.toml_lines import Key
from edged.config.tree import Config

MAX_ROUNDS = 8  # of taking out keys; a table's own check runs only once all its keys are valid


class PartialConfig(NamedTuple):
    """A configuration, and what was wrong with it."""

    config: Config | None  # None: so much is wrong that nothing is left to check
    problems: list[ConfigProblem]
    invalid: frozenset[Key]  # keys that were taken out: their values in `config` are defaults or examples

    def knows(self, *keys: Key) -> bool:
        """Whether these keys, and what is above and below them, have the values that were given."""
        return not any(key[: len(bad)] == bad or bad[: len(key)] == key for key in keys for bad in self.invalid)


def validate_partly(layers: Layers) -> PartialConfig:
    """The layers merged and validated without their invalid keys, and every problem with those."""
    values = deepcopy(dict(merged([layer.values for layer in layers.ordered if layer.values])))
    problems: list[ConfigProblem] = []
    invalid: set[Key] = set()
    for _ in range(MAX_ROUNDS):
        try:
            return PartialConfig(Config.model_validate(values), problems, frozenset(invalid))
        except ValidationError as exc:
            problems += layers.problems(exc, lambda message: not _mentions(message, invalid))
            for fault in exc.errors(include_url=False):
                invalid.add(_take_out(values, _key_of(fault["type"], fault["loc"])))
    return PartialConfig(None, problems, frozenset(invalid))


def _mentions(message: str, invalid: set[Key]) -> bool:
    """Whether a table's own check is about a key that was taken out: without it, its message may be wrong."""
    return any(re.search(rf"\b{re.escape(str(key[-1]))}\b", message) for key in invalid if key)


def _key_of(code: str, loc: Key) -> Key:
    """The key of an error: of a list as a whole, and of a table whose name is invalid."""
    key = loc[:-1] if loc[-1:] == ("[key]",) else loc
    return next((key[:end] for end, part in enumerate(key) if isinstance(part, int)), key)


def _take_out(values: dict[str, Any], key: Key) -> Key:
    """Remove a key, or give it its example where it must be given, as no free name must; the key that was changed."""
    if not key:
        values.clear()
        return key
    table: Any = values
    for part in key[:-1]:
        table = table.get(part) if isinstance(table, Mapping) else None
    if not isinstance(table, dict):
        return _take_out(values, key[:-1])
    here, above = node_at(key), node_at(key[:-1])
    is_free = above is not None and NAME in above.children
    if here is not None and not is_free and "default" not in here.keywords and here.examples:
        table[key[-1]] = here.examples[0]
    else:
        table.pop(key[-1], None)
    return key
