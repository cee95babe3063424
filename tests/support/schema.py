"""Checks a message against the schema of its topic, more strictly than a subscriber should."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import jsonschema

from edged.messages.documents import json_schema
from edged.messages.topics import COMMAND, TOPIC_SPECS, matches


@lru_cache
def validator(name: str) -> jsonschema.Draft202012Validator:
    """The validator of one message; fields outside the schema are errors here."""
    return jsonschema.Draft202012Validator(closed(json_schema(name)))


def closed(node: Any) -> Any:
    if isinstance(node, list):
        return [closed(item) for item in node]
    if not isinstance(node, dict):
        return node
    strict = {key: closed(value) for key, value in node.items()}
    return strict | {"additionalProperties": False} if isinstance(node.get("properties"), dict) else strict


def schema_errors(path: str, body: Any) -> list[str]:
    """The errors of a message; `path` is its topic below <base>/<device>/."""
    for spec in TOPIC_SPECS:
        if spec is COMMAND or spec.media_type is not None:
            continue
        if matches(spec.at(camera="+", command="+").path, path):
            found = validator(spec.name).iter_errors(body)
            return [f"{path} {'.'.join(map(str, error.absolute_path))}: {error.message}" for error in found]
    return [f"{path}: no such topic"]
