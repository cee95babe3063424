"""How well the starter detector finds people and horses at its card's thresholds.

python -m tools.evaluate.detector DATA [SCENES …]

DATA holds lsp/, horse/ and media/; SCENES are folders that `python -m tools.synth dataset` made, of seeds that nothing
was trained on.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from edged.frame import Boxes, Frame, InferenceParams, QualityLimits
from edged.inference.cpu.backend import CpuBackend
from edged.inference.cpu.onnxruntime import OrtSession
from engines.catalogue import load
from tools.evaluate.clip import SHOWS, matches, overlap

STARTER = Path(__file__).parents[2] / "engines/starter"
LOOSE = 0.3  # IoU from which a box is of a gymnast whose truth is the box of her joints
TALL_PX = 60  # people of less are not asked for in ordinary photographs

Said = list[dict[str, Any]]  # class and box of each subject
Find = Callable[[Path], Said]


class Row(NamedTuple):
    """One count."""

    data: str
    what: str
    hits: int
    of: int

    def line(self) -> str:
        return f"{self.data:24}{self.what:36}{self.hits:5} of {self.of:4}  {self.hits / max(self.of, 1):.3f}"


def finder() -> Find:
    """The starter detector, as the daemon runs it on a single picture."""
    card = load()["det-person-horse"]
    assert card.detect is not None  # noqa: S101  # it is the detector's card
    classes = card.detect.classes
    scores = [card.detect.threshold(name) for name in classes]
    params = InferenceParams(thresholds=np.array(scores, np.float32), max_subjects=99, quality_limits=QualityLimits())
    backend = CpuBackend(OrtSession(card, STARTER / "det_person_horse.onnx"), {})

    def find(path: Path) -> Said:
        image = np.asarray(cv2.imread(str(path)), np.uint8)
        frame = Frame(camera="", seq=0, captured_ns=0, image=image)
        boxes = backend.infer(frame, params, Boxes.empty(), detect=True).boxes
        named = zip(boxes.label.tolist(), boxes.xyxy.tolist(), strict=True)
        return [{"class": classes[label], "box": box} for label, box in named]

    return find


def gymnasts(data: Path, find: Find) -> Iterator[Row]:
    """Leeds Sports Pose, whole photographs."""
    truth = json.loads((data / "val_full.json").read_text())
    found = horses = 0
    for name, joints in truth.items():
        points = np.array([joint[:2] for joint in joints if joint[2]])
        around = {"box": [*points.min(axis=0), *points.max(axis=0)]}
        said = find(data / "val_full" / name)
        found += any(overlap(around, one) >= LOOSE for one in said if one["class"] == "person")
        horses += any(one["class"] == "horse" for one in said)
    yield Row("LSP photographs", "person found (IoU 0.3)", found, len(truth))
    yield Row("LSP photographs", "with a horse box", horses, len(truth))


def horses(data: Path, find: Find) -> Iterator[Row]:
    """Weizmann horses; all but those of the validation were seen in training."""
    boxes = json.loads((data / "boxes.json").read_text())
    paths = {path.stem: path for path in (data / "images").iterdir()}
    said = {name: find(paths[name]) for name in boxes if name in paths}
    found = sum(_found([{"class": "horse", "box": boxes[name]}], said[name]) for name in said)
    people = sum(any(one["class"] == "person" for one in said[name]) for name in said)
    yield Row("Weizmann horses", "horse found", found, len(said))
    yield Row("Weizmann horses", "with a person box", people, len(said))


def ordinary(media: Path, find: Find) -> Iterator[Row]:
    """Four photographs of COCO."""
    document = json.loads((media / "coco_test_coco.json").read_text())
    files = {image["id"]: media / f"coco_{image['id']:012}.jpg" for image in document["images"]}
    files = {key: path for key, path in files.items() if path.exists()}
    found = asked = horses = 0
    for key, path in files.items():
        boxes = [one["bbox"] for one in document["annotations"] if one["image_id"] == key]
        people = [{"class": "person", "box": [x, y, x + w, y + h]} for x, y, w, h in boxes if h >= TALL_PX]
        said = find(path)
        found, asked = found + _found(people, said), asked + len(people)
        horses += sum(one["class"] == "horse" for one in said)
    yield Row("COCO photographs", f"people of {TALL_PX} px and more found", found, asked)
    yield Row("COCO photographs", "horse boxes", horses, len(files))


def rendered(folder: Path, find: Find) -> Iterator[Row]:
    """Scenes with exact truth; boxes on nobody are those that lie on no subject, however little of it shows."""
    document = json.loads((folder / "truth.json").read_text())
    names = {category["id"]: category["name"] for category in document["categories"]}
    truths: dict[int, Said] = {image["id"]: [] for image in document["images"]}
    for one in document["annotations"]:
        x, y, w, h = one["bbox"]
        kind, shows = names[one["category_id"]], one["visible"] >= SHOWS
        truths[one["image_id"]].append({"class": kind, "box": [x, y, x + w, y + h], "shows": shows})
    said = {image["id"]: find(folder / "images" / image["file_name"]) for image in document["images"]}
    for kind in names.values():
        mine = [one for there in truths.values() for one in there if one["class"] == kind and one["shows"]]
        found = sum(_found(truths[key], said[key], kind, shown=True) for key in truths)
        yield Row(folder.name, f"{kind} found", found, len(mine))
    stray = sum(len(said[key]) - sum(_found(truths[key], said[key], kind) for kind in names.values()) for key in truths)
    yield Row(folder.name, "boxes on nobody, of all boxes", stray, sum(len(one) for one in said.values()))


def _found(truths: Said, said: Said, kind: str | None = None, *, shown: bool = False) -> int:
    """How many subjects have a box of their class; `shown`: only those that count."""
    kinds = {one["class"] for one in truths} if kind is None else {kind}
    pairs = [
        pair
        for one in kinds
        for pair in matches([t for t in truths if t["class"] == one], [s for s in said if s["class"] == one])
    ]
    return sum(pair.found is not None and (not shown or pair.truth["shows"]) for pair in pairs)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.evaluate.detector", description="Count what it finds.")
    parser.add_argument("data", type=Path, help="folder with lsp/, horse/ and media/")
    parser.add_argument("scenes", type=Path, nargs="*", help="folders that `python -m tools.synth dataset` made")
    args = parser.parse_args()
    data, find = args.data, finder()
    for rows in (gymnasts(data / "lsp", find), horses(data / "horse", find), ordinary(data / "media", find)):
        for row in rows:
            print(row.line(), flush=True)
    for folder in args.scenes:
        for row in rendered(folder, find):
            print(row.line(), flush=True)


if __name__ == "__main__":
    main()
