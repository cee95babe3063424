"""The INT8 file of a model, for the CPU: made of the FP32 file and the card's ranges, and kept in the store."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from engines.card import Card
from engines.errors import CardError
from engines.prepare import VERSION, batches, prepare
from engines.prepare.model import Batch
from engines.store.disk import publish, remove_on_error, translate_os_errors

FOLDER = "int8"  # in the model store


def int8_file(store: Path, card: Card, file: Path) -> Path:
    """Raises `CardError` where the card has no INT8 or onnx is not installed, and `StoreError`."""
    if card.int8 is None:
        raise CardError(f"model {card.name}: no INT8 of it was measured")
    facts = f"{VERSION} {card.int8.model_dump_json()}"
    path = store / FOLDER / f"{card.name}-{sha256(facts.encode()).hexdigest()[:16]}.onnx"
    if path.is_file():
        return path
    try:
        data = file.read_bytes()
        batch: Batch = 1 if len(batches(card, data)) == 1 else (1, 1, 1)
        model = prepare(card, data, batch=batch, precision="int8")
    except ModuleNotFoundError as missing:
        raise CardError(f"model {card.name}: INT8 is prepared with onnx: pip install onnx") from missing
    if model.family != card.family:
        raise CardError(f"model {card.name}: its NMS is part of the file; on the CPU INT8 wants a model without")
    part = path.with_suffix(".part")
    with remove_on_error(part), translate_os_errors(part):
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(model.onnx)
        publish(part, path)
    return path
