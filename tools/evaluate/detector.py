"""Recall and false boxes of the starter detector at the thresholds of its card.

python -m tools.evaluate.detector DATA [SCENES …]

DATA holds lsp/, horse/ and media/. SCENES are folders made by `python -m tools.synth dataset` with seeds that were not
used for training.
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
from tools.evaluate.clip import MIN_VISIBLE, matches, overlap

STARTER = Path(__file__).parents[2] / "engines/starter"
MIN_LSP_IOU = 0.3  # IoU from which a box matches an LSP person, whose truth is the box around the joints
MIN_HEIGHT_PX = 60  # smaller people do not count in COCO photographs

Subjects = list[dict[str, Any]]  # "class" and "box" of each subject
DetectFunction = Callable[[Path], Subjects]


class Row(NamedTuple):
    """One count."""

    data: str
    what: str
    hits: int
    of: int

    def line(self) -> str:
        return f"{self.data:24}{self.what:36}{self.hits:5} of {self.of:4}  {self.hits / max(self.of, 1):.3f}"


def make_detector() -> DetectFunction:
    """Return a function that runs the starter detector on an image file, as the daemon runs it."""
    card = load()["det-person-horse"]
    assert card.detect is not None  # noqa: S101  # it is the detector's card
    classes = card.detect.classes
    scores = [card.detect.threshold(name) for name in classes]
    params = InferenceParams(thresholds=np.array(scores, np.float32), max_subjects=99, quality_limits=QualityLimits())
    backend = CpuBackend(OrtSession(card, STARTER / "det_person_horse.onnx"), {})

    def detect(path: Path) -> Subjects:
        image = np.asarray(cv2.imread(str(path)), np.uint8)
        frame = Frame(camera="", seq=0, captured_ns=0, image=image)
        boxes = backend.infer(frame, params, Boxes.empty(), detect=True).boxes
        named = zip(boxes.label.tolist(), boxes.xyxy.tolist(), strict=True)
        return [{"class": classes[label], "box": box} for label, box in named]

    return detect


def lsp_rows(data: Path, detect: DetectFunction) -> Iterator[Row]:
    """Yield the counts on whole photographs of Leeds Sports Pose."""
    truth = json.loads((data / "val_full.json").read_text())
    found = horses = 0
    for name, joints in truth.items():
        points = np.array([joint[:2] for joint in joints if joint[2]])
        around = {"box": [*points.min(axis=0), *points.max(axis=0)]}
        detected = detect(data / "val_full" / name)
        found += any(overlap(around, one) >= MIN_LSP_IOU for one in detected if one["class"] == "person")
        horses += any(one["class"] == "horse" for one in detected)
    yield Row("LSP photographs", "person found (IoU 0.3)", found, len(truth))
    yield Row("LSP photographs", "with a horse box", horses, len(truth))


def weizmann_rows(data: Path, detect: DetectFunction) -> Iterator[Row]:
    """Yield the counts on Weizmann horses; all but the validation photographs were used for training."""
    boxes = json.loads((data / "boxes.json").read_text())
    paths = {path.stem: path for path in (data / "images").iterdir()}
    detected = {name: detect(paths[name]) for name in boxes if name in paths}
    found = sum(_count_found([{"class": "horse", "box": boxes[name]}], detected[name]) for name in detected)
    people = sum(any(one["class"] == "person" for one in detected[name]) for name in detected)
    yield Row("Weizmann horses", "horse found", found, len(detected))
    yield Row("Weizmann horses", "with a person box", people, len(detected))


def coco_rows(media: Path, detect: DetectFunction) -> Iterator[Row]:
    """Yield the counts on four COCO photographs."""
    document = json.loads((media / "coco_test_coco.json").read_text())
    files = {image["id"]: media / f"coco_{image['id']:012}.jpg" for image in document["images"]}
    files = {key: path for key, path in files.items() if path.exists()}
    found = total = horses = 0
    for key, path in files.items():
        boxes = [one["bbox"] for one in document["annotations"] if one["image_id"] == key]
        people = [{"class": "person", "box": [x, y, x + w, y + h]} for x, y, w, h in boxes if h >= MIN_HEIGHT_PX]
        detected = detect(path)
        found, total = found + _count_found(people, detected), total + len(people)
        horses += sum(one["class"] == "horse" for one in detected)
    yield Row("COCO photographs", f"people of {MIN_HEIGHT_PX} px and more found", found, total)
    yield Row("COCO photographs", "horse boxes", horses, len(files))


def rendered_rows(folder: Path, detect: DetectFunction) -> Iterator[Row]:
    """Yield the counts on rendered scenes; a false box matches no subject, however little of it is visible."""
    document = json.loads((folder / "truth.json").read_text())
    names = {category["id"]: category["name"] for category in document["categories"]}
    truths: dict[int, Subjects] = {image["id"]: [] for image in document["images"]}
    for one in document["annotations"]:
        x, y, w, h = one["bbox"]
        kind, shows = names[one["category_id"]], one["visible"] >= MIN_VISIBLE
        truths[one["image_id"]].append({"class": kind, "box": [x, y, x + w, y + h], "shows": shows})
    detected = {image["id"]: detect(folder / "images" / image["file_name"]) for image in document["images"]}
    for kind in names.values():
        mine = [one for there in truths.values() for one in there if one["class"] == kind and one["shows"]]
        found = sum(_count_found(truths[key], detected[key], kind, shown=True) for key in truths)
        yield Row(folder.name, f"{kind} found", found, len(mine))
    stray = sum(
        len(detected[key]) - sum(_count_found(truths[key], detected[key], kind) for kind in names.values())
        for key in truths
    )
    yield Row(folder.name, "false boxes, of all boxes", stray, sum(len(one) for one in detected.values()))


def _count_found(truths: Subjects, detected: Subjects, kind: str | None = None, *, shown: bool = False) -> int:
    """Return the number of subjects that have a box of their class; `shown`: only of subjects that count."""
    kinds = {one["class"] for one in truths} if kind is None else {kind}
    pairs = [
        pair
        for one in kinds
        for pair in matches([t for t in truths if t["class"] == one], [s for s in detected if s["class"] == one])
    ]
    return sum(pair.found is not None and (not shown or pair.truth["shows"]) for pair in pairs)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.evaluate.detector", description="Count the detections.")
    parser.add_argument("data", type=Path, help="folder with lsp/, horse/ and media/")
    parser.add_argument("scenes", type=Path, nargs="*", help="folders made by `python -m tools.synth dataset`")
    args = parser.parse_args()
    data, detect = args.data, make_detector()
    for rows in (
        lsp_rows(data / "lsp", detect),
        weizmann_rows(data / "horse", detect),
        coco_rows(data / "media", detect),
    ):
        for row in rows:
            print(row.line(), flush=True)
    for folder in args.scenes:
        for row in rendered_rows(folder, detect):
            print(row.line(), flush=True)


if __name__ == "__main__":
    main()
