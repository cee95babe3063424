"""The store's memory: the sha256 of every model whose card pins none, as first seen."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from engines.card import Sha256
from engines.errors import StoreError
from engines.store.disk import open_new, publish, translate_os_errors

_RECORDS = TypeAdapter(dict[str, Sha256])


def read_hashes(path: Path) -> dict[str, str]:
    """Hashes by model name; none where nothing was ever recorded. Raises `StoreError`."""
    with translate_os_errors(path):
        text = path.read_bytes() if path.exists() else b"{}"
    try:
        return _RECORDS.validate_json(text)
    except ValidationError as exc:
        what = exc.errors(include_url=False)[0]["msg"]
        raise StoreError(f"{path}: {what}; restore it, or delete it and import the unpinned models again") from exc


def add_hash(path: Path, name: str, sha256: str) -> None:
    """Record one model; a reader sees the old records or the new ones, never half."""
    records = read_hashes(path) | {name: sha256}
    part = path.with_name(path.name + ".part")
    with translate_os_errors(part), open_new(part) as out:
        out.write(f"{json.dumps(records, indent=2, sort_keys=True)}\n".encode())
    publish(part, path)
