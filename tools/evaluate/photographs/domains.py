"""Photographs with their truth, by domain. Nothing of one domain is averaged with another."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from edged.frame import F32, F64, U8
from engines.card.schema import SCHEMAS
from tools.train.photographs import Photographs
from tools.train.pictures import read

CLASSES = ("person", "horse")
SHARED = tuple(name for name in SCHEMAS["lsp-14"].keypoints if name in SCHEMAS["coco-17"].keypoints)


@dataclass(frozen=True, slots=True)
class Subject:
    """A labelled person or horse."""

    label: str
    box: F32  # (4,) x0 y0 x1 y1, px
    keypoints: dict[str, tuple[float, float]] = field(default_factory=dict)  # of those that are visible, px


@dataclass(frozen=True, slots=True)
class Picture:
    """An image and what is known of it."""

    read: Callable[[], U8]
    subjects: list[Subject]
    complete: frozenset[str] = frozenset(CLASSES)  # classes of which every subject has a box
    ignored: F32 = field(default_factory=lambda: np.zeros((0, 4), np.float32))  # (M, 4) regions that do not count

    def of(self, label: str) -> list[Subject]:
        return [subject for subject in self.subjects if subject.label == label]


def domains(data: Path) -> dict[str, list[Picture]]:
    """Return the pictures of every domain whose data is in the folder."""
    found: dict[str, list[Picture]] = {}
    if (data / "real").is_dir():
        found |= _real(Photographs.read(data / "real", "val"))
    if (data / "lsp").is_dir():
        found["gymnasts (LSP)"] = list(_gymnasts(data / "lsp"))
    if (data / "horse").is_dir():
        found["horses (Weizmann)"] = list(_weizmann(data / "horse"))
    return found


def _real(photographs: Photographs) -> dict[str, list[Picture]]:
    names = ("people", "horses", "nobody", "other animals")
    found: dict[str, list[Picture]] = {name: [] for name in names}
    for row in photographs.rows:
        kinds = {kind for kind, *_ in row["boxes"]}
        picture = _picture(photographs, row)
        shown = [name for name, kind in (("people", "person"), ("horses", "horse")) if kind in kinds]
        if not shown and picture.complete == frozenset(CLASSES):
            shown = ["other animals" if kinds else "nobody"]
        for name in shown:
            found[name].append(picture)
    return found


def _picture(photographs: Photographs, row: dict[str, Any]) -> Picture:
    posed = [("person", one) for one in row["person"]] + [(one["species"], one) for one in row["animal"]]
    subjects = []
    for kind, *box in row["boxes"]:
        if kind in CLASSES:
            own = next((one for label, one in posed if label == kind and np.allclose(one["box"], box, atol=1.5)), None)
            schema = "coco-17" if kind == "person" else "ap10k-17"
            subjects.append(Subject(kind, np.array(box, np.float32), _named(own["keypoints"], schema) if own else {}))
    complete = frozenset(label for label in CLASSES if row["complete"].get(label, True))
    ignored = np.array(row["ignore"], np.float32).reshape(-1, 4)
    return Picture(partial(photographs.image, row), subjects, complete, ignored)


def _gymnasts(folder: Path) -> Iterator[Picture]:
    for name, joints in json.loads((folder / "val_full.json").read_text()).items():
        points = np.array([joint[:2] for joint in joints if joint[2]])
        box = np.concatenate([points.min(axis=0), points.max(axis=0)]).astype(np.float32)
        keypoints = {key: at for key, at in _named(joints, "lsp-14").items() if key in SHARED}
        yield Picture(
            partial(read, folder / "val_full" / name), [Subject("person", box, keypoints)], frozenset({"horse"})
        )


def _weizmann(folder: Path) -> Iterator[Picture]:
    boxes, labels = (json.loads((folder / name).read_text()) for name in ("boxes.json", "keypoints_val.json"))
    files = {file.stem: file for file in (folder / "images").iterdir()}
    for name, points in labels.items():
        seen = _named([[x, y, v == 2] for x, y, v in points], "ap10k-17")
        subject = Subject("horse", np.array(boxes[name], np.float32), seen)
        yield Picture(partial(read, files[name]), [subject], frozenset({"horse"}))


def _named(points: Sequence[Sequence[float]], schema: str) -> dict[str, tuple[float, float]]:
    names = SCHEMAS[schema].keypoints
    rows = np.array(points, np.float64).reshape(len(names), 3)
    return {name: (float(x), float(y)) for name, (x, y, v) in zip(names, rows, strict=True) if v > 0}


def places(subject: Subject, names: Sequence[str]) -> F64:
    """Return the keypoints (K, 2), px; NaN where not visible."""
    return np.array([subject.keypoints.get(name, (np.nan, np.nan)) for name in names], np.float64).reshape(-1, 2)
