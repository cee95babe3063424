"""`python -m tools.precision DATA [CARD...]`: measure in what precisions models can be computed; change their cards.

DATA holds real/. Writes `fp32` of each card, the FP32 islands of FP16, and NAME.int8.json beside it. Run it whenever
weights change, after the card has their sha256. By default all cards whose model is in the package.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from pathlib import Path

from edged.frame import F32
from engines.card import Card
from engines.catalogue import HERE, load
from engines.store.model_store import ModelStore
from tools.precision import fp16, int8
from tools.precision.accuracy import Truth
from tools.precision.pictures import inputs

PICTURES = 64
# A card's `fp32`, on however many lines: strings and comments, in which a bracket ends nothing.
FP32_LIST = re.compile(r"""^fp32\s*=\s*\[(?:"[^"]*"|'[^']*'|#.*|[^]"'#])*\].*\n""", re.MULTILINE)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.precision", description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("cards", nargs="*", metavar="CARD")
    parser.add_argument("--folder", type=Path, default=HERE, help="of the cards that are changed")
    parser.add_argument(
        "--store", type=Path, default=Path("/var/lib/edged/models"), help="of models not in the package"
    )
    parser.add_argument("--pictures", type=int, default=PICTURES, help="for calibration, and as many for the check")
    parser.add_argument("--first", type=int, help="photographs of each kind on which INT8 may lose nothing")
    parser.add_argument("--only", choices=("fp16", "int8"), help="one precision")
    args = parser.parse_args()
    catalogue = load(None if args.folder == HERE else args.folder)
    truth = Truth(args.data, args.first)
    for name in args.cards or [name for name, card in catalogue.items() if card.source.bundled]:
        card = catalogue[name]
        file = ModelStore(args.store).path(card)
        calibration, check = (inputs(card, args.data, split, args.pictures) for split in ("train", "val"))
        if args.only != "int8":
            measure_fp16(card, file.read_bytes(), check, args.folder / f"{name}.toml")
        if args.only != "fp16":
            found = int8.measured(card, file, calibration, check, truth)
            write_int8(card, found, args.folder / f"{name}.int8.json")


def measure_fp16(card: Card, data: bytes, check: Sequence[F32], path: Path) -> None:
    chosen = fp16.islands(card, data, check)
    if chosen is None:
        print(f"{card.name}: no FP16 with half of its tolerance to spare; the card stays as it is")
        return
    if chosen != card.fp32:  # else with its comments as they are
        path.write_text(with_islands(path.read_text(), chosen))
    print(f"{card.name}: fp32 = {list(chosen)}")


def write_int8(card: Card, found: int8.Found, path: Path) -> None:
    if found.faults:
        path.unlink(missing_ok=True)
        print(f"{card.name}: no INT8 that is close enough: {'; '.join(found.faults)}")
        return
    path.write_text(json.dumps(found.int8.model_dump(mode="json"), indent=1) + "\n")
    print(f"{card.name}: INT8, {len(found.int8.fp32)} convolutions in FP32; {path}")


def with_islands(text: str, islands: tuple[str, ...]) -> str:
    """Return a card's text with these `fp32`, in the place of those it has, on however many lines."""
    line = f"fp32 = {json.dumps(list(islands))} # by tools.precision: FP16 needs them in FP32\n"
    text = FP32_LIST.sub("", text)
    return re.sub(r"^(family = .*\n)", lambda found: found[1] + (line if islands else ""), text, flags=re.MULTILINE)


if __name__ == "__main__":
    main()
