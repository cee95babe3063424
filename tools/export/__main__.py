"""python -m tools.export FAMILY CHECKPOINT --out DIR: an official checkpoint as an ONNX file. Needs torch and onnx."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import onnx

from engines.catalogue import read as read_card
from engines.store import tensors
from tools.export.card import known, text
from tools.export.checkpoint import load, read
from tools.export.families import FAMILIES, CheckpointError, Export
from tools.export.onnx_file import write


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.export", description=__doc__)
    parser.add_argument("family", choices=FAMILIES)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--joints", type=int, default=18, help="of a 3D model: 18, Human3.6M (default); 21, MuCo")
    given = parser.parse_args()
    try:
        export = load(given.family, read(given.checkpoint), given.joints)
        given.out.mkdir(parents=True, exist_ok=True)
        for line in exported(export, given.out):
            print(line, flush=True)
    except (CheckpointError, OSError) as exc:
        print(f"{given.checkpoint}: {exc}", file=sys.stderr)
        return 2
    return 0


def exported(export: Export, out: Path) -> Iterator[str]:
    """Write the net, and a card where the catalogue has none for such a file; what to do with them, in lines."""
    card = known(export)
    if card is None:
        export = replace(export, name=f"own-{export.name}")
    path = out / f"{export.name}.onnx"
    sha256 = write(export, path)
    yield f"{path} sha256 {sha256}"
    if card is None:
        if export.table is None:
            yield "no card: nothing here knows what its outputs are called"
            return
        beside = path.with_suffix(".toml")
        beside.write_text(text(export, onnx.load(path), sha256))
        card = read_card(beside)
        yield f"{beside} is its card; name its directory in models.catalogue"
    tensors.check_tensors(card, path)
    yield f"on the box: edged models import {card.name} {path.name}"


if __name__ == "__main__":
    sys.exit(main())
