"""python -m tools.export FAMILY CHECKPOINT --out DIR: exports an official checkpoint to ONNX. Needs torch and onnx."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import onnx

from engines.catalogue import read as read_card
from engines.store import tensors
from tools.export.card import card_text, catalogue_card
from tools.export.checkpoint import load, read
from tools.export.families import FAMILIES, CheckpointError, Export
from tools.export.onnx_file import write


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.export", description=__doc__)
    parser.add_argument("family", choices=FAMILIES)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--joints", type=int, default=18, help="of a 3D model: 18, Human3.6M (default); 21, MuCo")
    args = parser.parse_args()
    try:
        export = load(args.family, read(args.checkpoint), args.joints)
        args.out.mkdir(parents=True, exist_ok=True)
        for line in export_files(export, args.out):
            print(line, flush=True)
    except (CheckpointError, OSError) as exc:
        print(f"{args.checkpoint}: {exc}", file=sys.stderr)
        return 2
    return 0


def export_files(export: Export, out: Path) -> Iterator[str]:
    """Write the net, and a card if the catalogue has none; yields lines on the files and the next step."""
    card = catalogue_card(export)
    if card is None:
        export = replace(export, name=f"own-{export.name}")
    path = out / f"{export.name}.onnx"
    sha256 = write(export, path)
    yield f"{path} sha256 {sha256}"
    if card is None:
        if export.table is None:
            yield "no card: the names of its outputs are not known"
            return
        card_path = path.with_suffix(".toml")
        card_path.write_text(card_text(export, onnx.load(path), sha256))
        card = read_card(card_path)
        yield f"{card_path} is its card; set models.catalogue to its directory"
    tensors.check_tensors(card, path)
    yield f"on the box: edged models import {card.name} {path.name}"


if __name__ == "__main__":
    sys.exit(main())
