"""A catalogue card for an exported net that the catalogue does not have."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import onnx

from engines.card import Card, Family, Task
from engines.catalogue import load
from tools.export.families import Export

RGB_MEAN, RGB_STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
FAMILY: dict[Task, Family] = {"lift": "heatmap3d", "root": "rootnet", "pose": "simcc", "detect": "rtmdet"}


def catalogue_card(export: Export) -> Card | None:
    """Return the card in the catalogue, if its file is made by export."""
    card = load().get(export.name)
    return card if card is not None and card.source.export else None


def card_text(export: Export, model: onnx.ModelProto, sha256: str) -> str:
    """Return the card of an exported file, as TOML."""
    head = {
        "name": export.name,
        "summary": "exported from its checkpoint",
        "licence": "that of the checkpoint, and the terms of the data it was trained on",
        "task": export.task,
        "family": FAMILY[export.task],
        "fp32": export.islands,
    }
    source = {"export": "python -m tools.export", "sha256": sha256}
    tables = {"source": source, "input": _input(export, model.graph.input[0].name), export.task: export.table or {}}
    return "\n".join(_toml(head, tables, model))


def _input(export: Export, name: str) -> dict[str, Any]:
    """Return the input table: BGR on a grey canvas for detectors, RGB crops on black for all others."""
    whole = export.task == "detect"
    feed: dict[str, Any] = {"name": name, "size_wh": export.size_wh, "colour": "bgr" if whole else "rgb"}
    feed |= {"fit": "top-left", "pad": 114} if whole else {"fit": "crop", "pad": 0}
    if export.white is None:
        order = slice(None, None, -1 if whole else 1)
        feed |= {"mean": RGB_MEAN[order], "std": RGB_STD[order]}
    return feed


def _toml(head: Mapping[str, Any], tables: Mapping[str, Mapping[str, Any]], model: onnx.ModelProto) -> Iterator[str]:
    yield from _lines(head)
    for name, table in tables.items():
        yield f"\n[{name}]"
        yield from _lines(table)
    for value in model.graph.output:
        shape = [axis.dim_value or "*" for axis in value.type.tensor_type.shape.dim]
        yield "\n[[outputs]]"
        yield from _lines({"name": value.name, "shape": shape})
    yield ""


def _lines(table: Mapping[str, Any]) -> Iterator[str]:
    """Yield TOML lines; strings, numbers and lists are written as in JSON."""
    yield from (f"{key} = {json.dumps(value)}" for key, value in table.items())
