"""`python -m tools.evaluate.photographs DATA`: the default models on ordinary photographs, domain by domain.

DATA holds real/, lsp/ and horse/. `--peer NAME=CARD:FILE` runs another detector with the same pose models beside them;
`--conditions` disturbs the pictures of people as tools.robustness does.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

from edged.config.tables.models import ModelsConfig
from edged.inference.cpu.int8_file import int8_file
from engines.catalogue import load
from tools.evaluate.photographs import report
from tools.evaluate.photographs.contenders import Contender, Models
from tools.evaluate.photographs.domains import domains
from tools.evaluate.photographs.score import run
from tools.reports import writer
from tools.resume import SavedParts
from tools.robustness.conditions import CONDITIONS

ROOT = Path(__file__).parents[3]
STARTER = ROOT / "engines/starter"
DEFAULTS = ModelsConfig()
DETECTOR = (DEFAULTS.detector, STARTER / "det_person_horse.onnx")
POSES = {label: (card, STARTER / f"rtmpose_{label}_t.onnx") for label, card in DEFAULTS.pose.items()}
ONLY_PEOPLE = ("own-rtmdet-person", "rtmdet-nano-person")  # detectors that know no horse


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.evaluate.photographs", description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--peer", type=_peer, action="append", default=[], metavar="NAME=CARD:FILE")
    parser.add_argument("--conditions", action="store_true")
    parser.add_argument("--int8", type=Path, metavar="FOLDER", help="also the starter models in INT8, kept in FOLDER")
    parser.add_argument("--first", type=int, help="only so many pictures of each domain")
    parser.add_argument("--out", type=Path, help="folder of the report")
    args = parser.parse_args()
    contenders = {"starter": Models(*DETECTOR, POSES), **dict(args.peer)}
    if args.int8:
        contenders["starter, INT8"] = _in_int8(contenders["starter"], args.int8)
    found = {name: pictures[: args.first] for name, pictures in domains(args.data).items()}
    if not found:
        raise SystemExit(f"{args.data}: holds none of real, lsp, horse")
    kept = SavedParts(args.out and args.out / "photographs.unfinished.json", {"first": args.first})
    figures: dict[str, Any] = {}
    for name, models in contenders.items():
        contender = Contender(models)
        work = {domain: partial(run, contender, pictures) for domain, pictures in found.items()}
        if args.conditions and name == "starter" and "people" in found:
            work |= {f"people, {key}": partial(run, contender, found["people"], way) for key, way in CONDITIONS.items()}
        for domain, job in work.items():
            row = kept.part(f"{name}, {domain}", job)
            figures.setdefault(domain, {})[name] = row
            print("\n".join(report.lines(domain, name, row)), flush=True)
    if args.out:
        writer.write(
            args.out, report.page(figures), {**figures, "environment": writer.environment()}, name="photographs"
        )
        kept.forget()


def _in_int8(models: Models, folder: Path) -> Models:
    """The same models, each in INT8 if its card has it."""
    cards = load()

    def file(name: str, whole: Path) -> Path:
        return int8_file(folder, cards[name], whole) if cards[name].int8 else whole

    poses = {label: (name, file(name, whole)) for label, (name, whole) in models.poses.items()}
    return Models(models.detector, file(models.detector, models.file), poses)


def _peer(text: str) -> tuple[str, Models]:
    name, rest = text.split("=", 1)
    card, file = rest.split(":", 1)
    poses = {label: pose for label, pose in POSES.items() if label == "person" or card not in ONLY_PEOPLE}
    return name, Models(card, Path(file), poses)


if __name__ == "__main__":
    main()
