"""Training data of the pose models: single subjects with their keypoints, photographed or rendered."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from edged.frame import F32, U8
from engines.card.schema import SCHEMAS
from tools.train.photographs import Photographs
from tools.train.pictures import Sports, _decoded, _vary_light, degraded, read

PADDING = 1.25
MIN_VISIBLE = 0.3  # share of a rendered subject; less visible ones are not used
MIN_KEYPOINTS = 4  # labelled ones; subjects with fewer are not used
LSP_WINDOW = 256 / 1.7  # height of the net's window, px of the crop
DEGRADED_SHARE = 0.15
LABELLED, UNKNOWN, ABSENT = 1, 0, -1  # states of a keypoint: at x, y; anywhere or nowhere; not to be seen
NECK = SCHEMAS["ap10k-17"].keypoints.index("neck")  # which Animal-Pose does not label


class Subject(NamedTuple):
    """A subject: its image, centre and size of its box in px, and keypoints (K, 3) x, y, state."""

    image: U8
    centre: tuple[float, float]
    size_wh: tuple[float, float]
    keypoints: F32


class Source(Protocol):
    def draw(self, rng: np.random.Generator) -> Subject: ...


@dataclass(frozen=True, slots=True)
class SportsCrops:
    """Leeds Sports Pose crops, their joints in COCO's order; what COCO has and they have not is unknown."""

    sports: Sports

    def draw(self, rng: np.random.Generator) -> Subject:
        i = int(rng.integers(len(self.sports.joints)))
        points = _reordered(self.sports.joints[i], SCHEMAS["lsp-14"].keypoints, "coco-17")
        height = LSP_WINDOW / PADDING
        return Subject(_decoded(self.sports.data, self.sports.offsets, i), (128, 128), (height * 0.75, height), points)


@dataclass(frozen=True, slots=True)
class PosedPhotographs:
    """People or animals in ordinary photographs."""

    photographs: Photographs
    rows: list[tuple[dict[str, Any], F32, F32]]  # image, box x0 y0 x1 y1, keypoints

    @staticmethod
    def of(photographs: Photographs, schema: str, *kinds: str) -> PosedPhotographs:
        """Return the subjects of these kinds; keypoints of the schema that have no label are unknown."""
        rows = []
        for row in photographs.rows:
            for one in (*row["person"], *row["animal"]):
                points = np.array(one["keypoints"], np.float32).reshape(-1, 3)
                if one.get("species", "person") in kinds and (points[:, 2] > 0).sum() >= MIN_KEYPOINTS:
                    points[:, 2] = np.where(points[:, 2] > 0, LABELLED, ABSENT)
                    if "species" in one:
                        points[NECK, 2] = UNKNOWN
                    names = SCHEMAS["ap10k-17" if "species" in one else "coco-17"].keypoints
                    rows.append((row, np.array(one["box"], np.float32), _reordered(points, names, schema)))
        return PosedPhotographs(photographs, rows)

    def draw(self, rng: np.random.Generator) -> Subject:
        row, box, points = self.rows[int(rng.integers(len(self.rows)))]
        return boxed(self.photographs.image(row), box, points)


@dataclass(frozen=True, slots=True)
class BoxedImages:
    """Whole images in files, with boxes: rendered scenes, and the Weizmann horses."""

    rows: list[tuple[Path, list[float], F32]]  # file, x0 y0 x1 y1, keypoints

    @staticmethod
    def of_scenes(folder: Path, kind: str, schema: str) -> BoxedImages:
        truth = json.loads((folder / "truth.json").read_text())
        kinds = {category["id"]: category["name"] for category in truth["categories"]}
        files = {image["id"]: folder / "images" / image["file_name"] for image in truth["images"]}
        rows = []
        for one in truth["annotations"]:
            if kinds[one["category_id"]] == kind and one["visible"] >= MIN_VISIBLE and min(one["bbox"][2:]) >= 24:
                x, y, w, h = one["bbox"]
                points = np.array(one["keypoints"][schema], np.float32).reshape(-1, 3)
                points[:, 2] = np.where(points[:, 2] > 0, LABELLED, UNKNOWN)
                rows.append((files[one["image_id"]], [x, y, x + w, y + h], points))
        return BoxedImages(rows)

    @staticmethod
    def of_horses(folder: Path) -> BoxedImages:
        boxes = json.loads((folder / "boxes.json").read_text())
        labels = json.loads((folder / "keypoints_train.json").read_text())
        rows = []
        for name, labelled in labels.items():
            points = np.array(labelled, np.float32)
            points[:, 2] = np.where(points[:, 2] > 0, LABELLED, UNKNOWN)
            rows.append((folder / "images" / f"{name}.jpg", boxes[name], points))
        return BoxedImages(rows)

    def draw(self, rng: np.random.Generator) -> Subject:
        file, box, keypoints = self.rows[int(rng.integers(len(self.rows)))]
        return boxed(read(file), np.array(box, np.float32), keypoints)


def _reordered(points: F32, names: Sequence[str], schema: str) -> F32:
    """(K, 3) the keypoints of `names` in the order of a schema; others are unknown."""
    by_name = dict(zip(names, points, strict=True))
    unknown = np.zeros(3, np.float32)
    return np.stack([by_name.get(name, unknown) for name in SCHEMAS[schema].keypoints]).astype(np.float32)


def boxed(image: U8, box: F32, keypoints: F32) -> Subject:
    """Return the subject in the box (4,) x0 y0 x1 y1, px."""
    x0, y0, x1, y1 = box.tolist()
    return Subject(image, ((x0 + x1) / 2, (y0 + y1) / 2), (x1 - x0, y1 - y0), keypoints)


@dataclass(frozen=True, slots=True)
class Crops:
    """Augmented input windows: rotation, scale, flip, light, defects, occlusion."""

    sources: Sequence[Source]
    weights: Sequence[float]
    schema: str
    size_wh: tuple[int, int]
    turn_deg: float

    def draw(self, rng: np.random.Generator) -> tuple[U8, F32]:
        """Return a window (H, W, 3) BGR and its keypoints (K, 3) x, y, px of the window, and state."""
        subject = self.sources[int(rng.choice(len(self.sources), p=self.weights))].draw(rng)
        matrix, mirrored = self._window(subject, rng)
        flags = cv2.INTER_AREA if abs(matrix[0, 0]) < 0.5 else cv2.INTER_LINEAR
        window = np.asarray(cv2.warpAffine(subject.image, matrix, self.size_wh, flags=flags), np.uint8)
        points = subject.keypoints.copy()
        points[:, :2] = subject.keypoints[:, :2] @ matrix[:, :2].T + matrix[:, 2]
        if mirrored:
            points = points[flipped(self.schema)]
        outside = (points[:, :2] < 0).any(axis=1) | (points[:, :2] >= self.size_wh).any(axis=1)
        points[outside & (points[:, 2] == LABELLED), 2] = ABSENT
        window = _vary_light(window, rng)
        if rng.random() < DEGRADED_SHARE:
            window = degraded(window, rng)
        return _occlude(window, rng), points.astype(np.float32)

    def _window(self, subject: Subject, rng: np.random.Generator) -> tuple[NDArray[np.float64], bool]:
        """Return the affine matrix (2, 3) from image to window, and whether it flips."""
        aspect = self.size_wh[0] / self.size_wh[1]
        height = max(subject.size_wh[1], subject.size_wh[0] / aspect) * PADDING
        scale = self.size_wh[1] / (height * float(np.exp(rng.uniform(-0.3, 0.35))))
        angle = math.radians(float(rng.uniform(-1, 1)) * self.turn_deg) if rng.random() < 0.6 else 0.0
        mirrored = bool(rng.random() < 0.5)
        cos, sin, side = scale * math.cos(angle), scale * math.sin(angle), -1.0 if mirrored else 1.0
        linear = np.array([[side * cos, -side * sin], [sin, cos]])
        shift = rng.normal(0, 0.06, 2).clip(-0.15, 0.15) * height
        middle = np.array(self.size_wh) / 2 - linear @ (np.array(subject.centre) + shift)
        return np.column_stack([linear, middle]), mirrored


def flipped(schema: str) -> list[int]:
    """Return the order of a schema's keypoints in a mirror image."""
    names = list(SCHEMAS[schema].keypoints)
    swap = {"left": "right", "right": "left"}
    return [names.index("_".join([swap.get(part, part) for part in name.split("_")])) for name in names]


def _occlude(window: U8, rng: np.random.Generator) -> U8:
    """Cover a random block with one colour, in half of the cases; returns the window."""
    if rng.random() < 0.5:
        height, width = window.shape[:2]
        x, y = int(rng.integers(width)), int(rng.integers(height))
        w, h = int(rng.integers(1, width // 3)), int(rng.integers(1, height // 3))
        window[y : y + h, x : x + w] = rng.integers(0, 256, 3)
    return window
