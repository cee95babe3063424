"""A fleet's settings before they are published: what every device would refuse, without knowing any device's files.

Upstream: `edged rollout`. What rests on keys that the settings do not give is left to the devices, which have them.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edged.config.fleet_file import check_fleet_file
from edged.config.layers import Layer
from edged.config.messages import ConfigProblem, Layers, config_error
from edged.config.partial import PartialConfig, validate_partly
from edged.config.schema import node_at
from edged.config.toml_lines import Key
from edged.config.tree import Config
from edged.config_check import crosscheck
from engines.card_outline import CardOutline, outlines
from engines.errors import CardError

log = logging.getLogger(__name__)

# Keys of a camera that others are judged by, and with which table: where the settings do not give them, devices may.
JUDGING: tuple[tuple[Key, Key], ...] = ((("size",), ()), (("rotate",), ()), (("stall", "floor"), ("stall",)))


def check_fleet_settings(layer: Layer, catalogue: Path | None = None) -> None:
    """Raises `ConfigError` with a line for each key that every device refuses; `catalogue`: of cards beside ours."""
    check_fleet_file(layer)
    completed = replace(layer, values=_with_sources(layer.values))
    layers = Layers((completed,))
    problems = _invalid(layers)
    partial = validate_partly(layers)
    if partial.config is not None:
        problems += _contradictions(layers, partial, partial.config, catalogue)
    if problems:
        raise config_error(problems)


def _with_sources(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values, with an address for every camera in them, which each device has of its own."""
    completed = deepcopy(dict(values))
    profiles = completed.get("profiles")
    tables = [completed, *(profiles.values() if isinstance(profiles, dict) else ())]
    listed = [table.get("cameras") for table in tables if isinstance(table, dict)]
    cameras = [table for table in listed if isinstance(table, dict)]
    for name in {name for table in cameras for name in table}:
        own = completed.setdefault("cameras", {})
        if isinstance(own, dict) and isinstance(camera := own.setdefault(name, {}), dict):
            camera["source"] = f"rtsp://device/{name}"
    return completed


def _invalid(layers: Layers) -> list[ConfigProblem]:
    """Keys with a value that no device takes, and tables whose keys, all given here, contradict each other."""
    try:
        Config.model_validate(layers.ordered[0].values)
    except ValidationError as exc:
        certain = {fault["msg"] for fault in exc.errors(include_url=False) if _is_certain(fault, layers.ordered[0])}
        return layers.problems(exc, certain.__contains__)
    return []


def _is_certain(fault: Any, layer: Layer) -> bool:
    key: Key = fault["loc"]
    if fault["type"] == "missing":
        return key[0] != "cameras"
    if fault["type"] != "value_error" or not isinstance(fault["input"], Mapping):
        return True
    words = re.findall(r"[a-z_]+(?:\.[a-z_]+)*", fault["msg"])
    places = [(*table, *word.split(".")) for word in words for table in (key, ())]
    named = [place for place in places if (here := node_at(place)) is not None and not here.is_table]
    return all(place in layer.lines for place in named)


def _contradictions(
    layers: Layers, partial: PartialConfig, config: Config, catalogue: Path | None
) -> Iterator[ConfigProblem]:
    """Violations of keys that are given here."""
    lines = layers.ordered[0].lines
    cards = _cards(config.models.catalogue or catalogue)
    name = config.models.detector
    if ("models", "detector") not in lines and name in cards:  # devices may have another, of other classes
        cards[name] = cards[name]._replace(classes=None)
    cameras: list[Key] = [("cameras", name) for name in config.cameras]
    judging = {(*camera, *key) for camera in cameras for key, table in JUDGING if (*camera, *table) in lines}
    known = partial._replace(invalid=partial.invalid | (judging - lines.keys()))
    for key, got, sentence in crosscheck(known, config, cards):
        if tuple(part for part in key if isinstance(part, str)) in lines:
            yield layers.contradiction(key, sentence, got)


def _cards(catalogue: Path | None) -> dict[str, CardOutline]:
    """By name; none where the catalogue of the devices is not here: then no name of a model is judged."""
    try:
        return dict(outlines(catalogue))
    except CardError as exc:
        log.warning("names of models are not checked before the devices do: %s", exc)
        return {}
