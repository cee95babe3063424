"""One message of each kind, as published. Downstream: the documents, and `edged contract example`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


def example(name: str) -> dict[str, Any]:
    """A message of this kind."""
    body: dict[str, Any] = json.loads(example_text(name))
    return body


def example_text(name: str) -> str:
    """The same as indented JSON."""
    return (FOLDER / f"{name}.json").read_text("utf-8")
