"""Ordinary photographs with the boxes of people and animals, and their keypoints."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edged.frame import U8
from tools.train.pictures import KINDS, Picture, boxes_of


@dataclass(frozen=True, slots=True)
class Photographs:
    """A split of the data: WebP images back to back, and one row of labels per image."""

    file: Path
    rows: list[dict[str, Any]]

    @staticmethod
    def read(folder: Path, split: str) -> Photographs:
        return Photographs(folder / f"{split}.bin", json.loads((folder / f"{split}.json").read_text()))

    def image(self, row: dict[str, Any]) -> U8:
        data = _bytes(self.file)[row["offset"] : row["offset"] + row["size"]]
        return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)

    def with_kind(self, *kinds: str) -> Photographs:
        """Return the images that show one of `kinds`; without any, those that show no subject of a known kind."""
        shown = [{kind for kind, *_ in row["boxes"]} & set(KINDS) for row in self.rows]
        wanted = [bool(there & set(kinds)) if kinds else not there for there in shown]
        return Photographs(self.file, [row for row, take in zip(self.rows, wanted, strict=True) if take])

    def draw(self, rng: np.random.Generator) -> Picture:
        row = self.rows[int(rng.integers(len(self.rows)))]
        known = [one for one in row["boxes"] if one[0] in KINDS]
        complete = (bool(row["complete"].get("person", True)), bool(row["complete"].get("horse", True)))
        labels = np.array([KINDS.index(kind) for kind, *_ in known], np.int64)
        return Picture(self.image(row), boxes_of([box for _, *box in known]), labels, complete, boxes_of(row["ignore"]))


@cache
def _bytes(file: Path) -> U8:
    return np.fromfile(file, np.uint8)
