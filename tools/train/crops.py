"""Training data of the pose models: single subjects with their keypoints, photographed or rendered."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edged.frame import F32, I64, U8
from tools.train.pictures import _decoded, _vary_light, read

PADDING = 1.25
MIN_VISIBLE = 0.3  # share of a rendered subject; less visible ones are not used
LSP_WINDOW = 256 / 1.7  # height of the net's window, px of the crop
FLIPS = {
    "lsp-14": (5, 4, 3, 2, 1, 0, 11, 10, 9, 8, 7, 6, 12, 13),
    "ap10k-17": (1, 0, 2, 3, 4, 8, 9, 10, 5, 6, 7, 14, 15, 16, 11, 12, 13),
}


@dataclass(frozen=True, slots=True)
class Subject:
    """A subject: centre and height of its window, px of the image, and keypoints (K, 3) x, y, visible."""

    centre: tuple[float, float]
    height: float
    keypoints: F32


@dataclass(frozen=True, slots=True)
class LspCrops:
    """Leeds Sports Pose crops."""

    data: U8
    offsets: I64
    joints: F32

    @staticmethod
    def read(folder: Path) -> LspCrops:
        with np.load(folder / "train.npz") as labels:
            return LspCrops(
                np.fromfile(folder / "train.bin", np.uint8), labels["offset"].astype(np.int64), labels["joints"]
            )

    def draw(self, rng: np.random.Generator, aspect: float) -> tuple[U8, Subject]:
        i = int(rng.integers(len(self.joints)))
        return _decoded(self.data, self.offsets, i), Subject((128.0, 128.0), LSP_WINDOW, self.joints[i])


@dataclass(frozen=True, slots=True)
class BoxedImages:
    """Whole images with boxes: rendered scenes, and the photographs of horses."""

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
                rows.append((files[one["image_id"]], [x, y, x + w, y + h], points))
        return BoxedImages(rows)

    @staticmethod
    def of_horses(folder: Path) -> BoxedImages:
        boxes = json.loads((folder / "boxes.json").read_text())
        labels = json.loads((folder / "keypoints_train.json").read_text())
        return BoxedImages(
            [(folder / "images" / f"{name}.jpg", boxes[name], np.array(p, np.float32)) for name, p in labels.items()]
        )

    def draw(self, rng: np.random.Generator, aspect: float) -> tuple[U8, Subject]:
        file, (x0, y0, x1, y1), keypoints = self.rows[int(rng.integers(len(self.rows)))]
        height = max(y1 - y0, (x1 - x0) / aspect) * PADDING
        return read(file), Subject(((x0 + x1) / 2, (y0 + y1) / 2), height, keypoints)


@dataclass(frozen=True, slots=True)
class CropSource:
    """Augmented input windows: rotation, scale, flip, light, occlusion. Photographs are the first source."""

    sources: Sequence[LspCrops | BoxedImages]
    shares: Sequence[float]
    schema: str
    size_wh: tuple[int, int]
    turn_deg: float

    def draw(self, rng: np.random.Generator) -> tuple[U8, F32, bool]:
        """Return a window (H, W, 3) BGR, keypoints (K, 3) x, y (px), used, and whether it is a photograph."""
        width, height = self.size_wh
        which = int(rng.choice(len(self.sources), p=self.shares))
        source = self.sources[which]
        image, subject = source.draw(rng, width / height)
        matrix, mirrored = self._window(subject, rng)
        window = cv2.warpAffine(image, matrix, self.size_wh, flags=cv2.INTER_LINEAR)
        points = subject.keypoints[:, :2] @ matrix[:, :2].T + matrix[:, 2]
        seen = subject.keypoints[:, 2] > 0
        if mirrored:
            order = list(FLIPS[self.schema])
            points, seen = points[order], seen[order]
        inside = (points >= 0).all(axis=1) & (points < (width, height)).all(axis=1)
        learned = np.column_stack([points, seen & inside]).astype(np.float32)
        return _occlude(_vary_light(np.asarray(window, np.uint8), rng), rng), learned, which == 0

    def _window(self, subject: Subject, rng: np.random.Generator) -> tuple[NDArray[np.float64], bool]:
        """Return the affine matrix (2, 3) from image to window, and whether it flips."""
        scale = self.size_wh[1] / (subject.height * float(np.exp(rng.uniform(-0.3, 0.3))))
        angle = math.radians(float(rng.uniform(-1, 1)) * self.turn_deg) if rng.random() < 0.6 else 0.0
        mirrored = bool(rng.random() < 0.5)
        cos, sin, side = scale * math.cos(angle), scale * math.sin(angle), -1.0 if mirrored else 1.0
        linear = np.array([[side * cos, -side * sin], [sin, cos]])
        shift = rng.normal(0, 0.05, 2).clip(-0.1, 0.1) * subject.height
        middle = np.array(self.size_wh) / 2 - linear @ (np.array(subject.centre) + shift)
        return np.column_stack([linear, middle]), mirrored


def _occlude(window: U8, rng: np.random.Generator) -> U8:
    """Cover a random block with one colour, in half of the cases; returns the window."""
    if rng.random() < 0.5:
        height, width = window.shape[:2]
        x, y = int(rng.integers(width)), int(rng.integers(height))
        w, h = int(rng.integers(1, width // 3)), int(rng.integers(1, height // 3))
        window[y : y + h, x : x + w] = rng.integers(0, 256, 3)
    return window
