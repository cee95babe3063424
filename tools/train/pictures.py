"""Training data of the detector: photographs, rendered scenes, and images without subjects.

Every source draws a `Picture`. `Mix` places it on the canvas as the daemon does, or scaled and cropped at random, or
four of them side by side, and degrades some as cameras do.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import cv2
import numpy as np

from edged.frame import F32, I64, U8
from tools.robustness.conditions import streaked

# What is labelled, in the order of the detector's classes in training; only people and horses are exported.
KINDS = ("person", "horse", "cat", "dog", "sheep", "cow", "elephant", "bear", "zebra", "giraffe")
PERSON, HORSE = 0, 1
SIZE_WH = (416, 320)  # the canvas: a photograph of 4:3 fills it, 16:9 three quarters of it
GREY = 114
MIN_VISIBLE = 0.15  # share of a rendered subject; less visible ones are not labelled
MIN_PX = 6  # shortest side of a box on the canvas
MIN_SHARE = 0.25  # share of a box that must remain after cropping
AS_IT_IS_SHARE, PLAIN_AS_IT_IS_SHARE = 0.3, 0.6  # share of the pictures that are placed as the daemon places them
MOSAIC_SHARE, PLAIN_MOSAIC_SHARE = 0.35, 0.05


class Picture(NamedTuple):
    """An image and what is known of it."""

    image: U8  # (H, W, 3) BGR
    boxes: F32  # (N, 4) x0 y0 x1 y1, px
    labels: I64  # (N,) places in KINDS
    complete: tuple[bool, bool] = (True, True)  # whether every person, every horse has a box
    ignored: F32 = np.zeros((0, 4), np.float32)  # (M, 4) regions in which nothing is known


class Source(Protocol):
    def draw(self, rng: np.random.Generator) -> Picture: ...


def boxes_of(rows: Sequence[Sequence[float]]) -> F32:
    return np.array(rows, np.float32).reshape(-1, 4)


@dataclass(frozen=True, slots=True)
class Scenes:
    """A folder made by `python -m tools.synth dataset`."""

    files: list[Path]
    boxes: list[F32]
    labels: list[I64]

    @staticmethod
    def read(folder: Path) -> Scenes:
        truth = json.loads((folder / "truth.json").read_text())
        kinds = {category["id"]: KINDS.index(category["name"]) for category in truth["categories"]}
        found: dict[int, list[tuple[list[float], int]]] = {image["id"]: [] for image in truth["images"]}
        for one in truth["annotations"]:
            if one["visible"] >= MIN_VISIBLE:
                x, y, w, h = one["bbox"]
                found[one["image_id"]].append(([x, y, x + w, y + h], kinds[one["category_id"]]))
        files = [folder / "images" / image["file_name"] for image in truth["images"]]
        boxes = [boxes_of([box for box, _ in rows]) for rows in found.values()]
        labels = [np.array([label for _, label in rows], np.int64) for rows in found.values()]
        return Scenes(files, boxes, labels)

    def draw(self, rng: np.random.Generator) -> Picture:
        i = int(rng.integers(len(self.files)))
        return Picture(read(self.files[i]), self.boxes[i], self.labels[i])


@dataclass(frozen=True, slots=True)
class Horses:
    """Weizmann's photographs of one horse each, without the validation set; people in them have no box."""

    files: list[Path]
    boxes: list[F32]

    @staticmethod
    def read(folder: Path) -> Horses:
        kept = set(json.loads((folder / "keypoints_val.json").read_text()))
        labels = json.loads((folder / "boxes.json").read_text())
        boxes = {folder / "images" / f"{name}.jpg": box for name, box in labels.items() if name not in kept}
        files = [file for file in boxes if file.exists()]
        return Horses(files, [boxes_of([boxes[file]]) for file in files])

    def draw(self, rng: np.random.Generator) -> Picture:
        i = int(rng.integers(len(self.files)))
        return Picture(read(self.files[i]), self.boxes[i], np.array([HORSE]), (False, True))


@dataclass(frozen=True, slots=True)
class Sports:
    """Leeds Sports Pose crops: the box is around the joints of one person; others have none."""

    data: U8
    offsets: I64
    joints: F32

    @staticmethod
    def read(folder: Path) -> Sports:
        with np.load(folder / "train.npz") as labels:
            data = np.fromfile(folder / "train.bin", np.uint8)
            return Sports(data, labels["offset"].astype(np.int64), labels["joints"])

    def draw(self, rng: np.random.Generator) -> Picture:
        i = int(rng.integers(len(self.joints)))
        box = _around(self.joints[i])
        return Picture(_decoded(self.data, self.offsets, i), box[None], np.array([PERSON]), (False, True))


class Fields:
    """Images without subjects: flat, graded and noisy."""

    def draw(self, rng: np.random.Generator) -> Picture:
        makers = (_flat, _graded, _noisy)
        return Picture(makers[int(rng.integers(len(makers)))](rng), boxes_of([]), np.zeros(0, np.int64))


@dataclass(frozen=True, slots=True)
class Mix:
    """Draws each sample from a source, by weight; `size_wh` is that of the canvas.

    `plain` for the end of a training: nearly all pictures are whole, and most are placed as the daemon places them.
    Source: Ge et al., YOLOX, 2021, which ends so for 15 of 300 epochs.
    """

    sources: Sequence[Source]
    weights: Sequence[float]
    size_wh: tuple[int, int] = SIZE_WH
    plain: bool = False

    def draw(self, rng: np.random.Generator) -> Picture:
        if rng.random() < (PLAIN_MOSAIC_SHARE if self.plain else MOSAIC_SHARE):
            picture = self._mosaic(rng)
        else:
            as_it_is = rng.random() < (PLAIN_AS_IT_IS_SHARE if self.plain else AS_IT_IS_SHARE)
            zoom = 1.0 if as_it_is else _spread(rng, 0.5, 2.0)
            picture = placed(mirrored(self._one(rng), rng), self.size_wh, zoom, rng)
        return picture._replace(image=_vary_light(picture.image, rng))

    def _one(self, rng: np.random.Generator) -> Picture:
        return self.sources[int(rng.choice(len(self.sources), p=self.weights))].draw(rng)

    def _mosaic(self, rng: np.random.Generator) -> Picture:
        """Return four pictures side by side: smaller subjects, cut ones, and four scenes at once."""
        (width, height), (x, y) = self.size_wh, (int(side * rng.uniform(0.35, 0.65)) for side in self.size_wh)
        canvas = np.full((height, width, 3), GREY, np.uint8)
        parts = []
        for x0, y0, x1, y1 in ((0, 0, x, y), (x, 0, width, y), (0, y, x, height), (x, y, width, height)):
            part = placed(mirrored(self._one(rng), rng), (x1 - x0, y1 - y0), _spread(rng, 0.9, 2.6), rng)
            canvas[y0:y1, x0:x1] = part.image
            shift = np.array([x0, y0, x0, y0], np.float32)
            parts.append(part._replace(boxes=part.boxes + shift, ignored=part.ignored + shift))
        complete = (all(part.complete[0] for part in parts), all(part.complete[1] for part in parts))
        boxes, labels, ignored = (np.concatenate([part[at] for part in parts]) for at in (1, 2, 4))
        return Picture(canvas, boxes, labels, complete, ignored)


def mirrored(picture: Picture, rng: np.random.Generator) -> Picture:
    """Return the picture, or its mirror image."""
    if rng.random() < 0.5:
        return picture
    width = picture.image.shape[1]
    boxes, ignored = (
        one[:, [2, 1, 0, 3]] * np.array([-1, 1, -1, 1], np.float32) + np.array([width, 0, width, 0], np.float32)
        for one in (picture.boxes, picture.ignored)
    )
    return picture._replace(image=np.ascontiguousarray(picture.image[:, ::-1]), boxes=boxes, ignored=ignored)


def placed(picture: Picture, size_wh: tuple[int, int], zoom: float, rng: np.random.Generator) -> Picture:
    """Return the picture on a canvas: at `zoom` 1 at the top left, as large as it fits, as the daemon places it; else
    stretched a little and shifted at random."""
    height, width = picture.image.shape[:2]
    scale = np.full(2, min(size_wh[0] / width, size_wh[1] / height) * zoom)
    shift = np.zeros(2)
    if zoom != 1.0:
        scale *= np.exp(rng.normal(0, 0.08) * np.array([1, -1]))
        room = np.array(size_wh) - scale * (width, height)
        shift = rng.uniform(np.minimum(0, room), np.maximum(0, room))
    matrix = np.array([[scale[0], 0, shift[0]], [0, scale[1], shift[1]]])
    flags = cv2.INTER_AREA if scale.min() < 0.5 else cv2.INTER_LINEAR
    canvas = cv2.warpAffine(picture.image, matrix, size_wh, flags=flags, borderValue=(GREY, GREY, GREY))
    boxes, ignored = (
        (one * np.tile(scale, 2) + np.tile(shift, 2)).astype(np.float32) for one in (picture.boxes, picture.ignored)
    )
    cut, left = (one.clip(0, np.array(size_wh * 2, np.float32)) for one in (boxes, ignored))
    kept = (_area(cut) >= MIN_SHARE * _area(boxes)) & ((cut[:, 2:] - cut[:, :2]).min(axis=1, initial=1e9) >= MIN_PX)
    unclear = cut[~kept & (_area(cut) > 0)]  # a part of a subject: neither taught nor counted as background
    return Picture(canvas, cut[kept], picture.labels[kept], picture.complete, np.concatenate([left, unclear]))


def read(path: Path) -> U8:
    image = cv2.imread(str(path))
    if image is None:
        raise ValueError(f"{path}: not an image; create the dataset again")
    return np.asarray(image, np.uint8)


def _spread(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _decoded(data: U8, offsets: I64, i: int) -> U8:
    return np.asarray(cv2.imdecode(data[offsets[i] : offsets[i + 1]], cv2.IMREAD_COLOR), np.uint8)


def _around(joints: F32) -> F32:
    """Return a box around the visible joints, with a margin."""
    points = joints[joints[:, 2] > 0, :2]
    low, high = points.min(axis=0), points.max(axis=0)
    room = 0.08 * (high - low) + 4
    return np.concatenate([low - room, high + room]).astype(np.float32).clip(0, 256)


def _area(boxes: F32) -> F32:
    area: F32 = (boxes[:, 2:] - boxes[:, :2]).clip(min=0).prod(axis=1)
    return area


def _vary_light(image: U8, rng: np.random.Generator) -> U8:
    """Return the image with random gain, offset, blur, noise and colour removal."""
    if rng.random() < 0.2:
        image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    if rng.random() < 0.15:
        image = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.5, 2.5)))
    gain, lift = rng.uniform(0.55, 1.4) * rng.uniform(0.9, 1.1, 3), rng.uniform(-25, 25)
    lit = image.astype(np.float32) * gain.astype(np.float32) + np.float32(lift)
    if rng.random() < 0.4:
        lit += rng.normal(0, rng.uniform(1, 12), lit.shape[:2]).astype(np.float32)[..., None]
    return lit.clip(0, 255).astype(np.uint8)


def degraded(image: U8, rng: np.random.Generator) -> U8:
    """Return the image with one defect: noise, motion blur, low light, infrared or posts."""
    ways = (_sensor_noise, _sensor_noise, _motion_blur, _dim, _dim, _infrared, _posts)
    return ways[int(rng.integers(len(ways)))](image, rng)


def _sensor_noise(image: U8, rng: np.random.Generator, most: float = 75) -> U8:
    """Add sensor noise of up to `most` grey levels, equal or independent in the channels."""
    shape = image.shape if rng.random() < 0.6 else (*image.shape[:2], 1)
    noise = rng.standard_normal(shape, np.float32) * np.float32(rng.uniform(2, most))
    return np.asarray((image + noise).clip(0, 255), np.uint8)


def _motion_blur(image: U8, rng: np.random.Generator) -> U8:
    """Return motion blur of up to 6 % of the image width, in a random direction."""
    return streaked(image, rng.uniform(0.01, 0.06), rng.uniform(0, 180))


def _dim(image: U8, rng: np.random.Generator) -> U8:
    """Return the image at 8 to 50 % of the light, with sensor noise."""
    return _sensor_noise((image * np.float32(rng.uniform(0.08, 0.5))).astype(np.uint8), rng, most=9)


def _infrared(image: U8, rng: np.random.Generator) -> U8:
    """Return an infrared image: grey, bright in the middle, dark at the edges, noisy."""
    height, width = image.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j] + rng.normal(0, 0.2, 2)[:, None, None]
    lamp = rng.uniform(0.7, 1.7) * np.exp(-rng.uniform(0.2, 1.4) * (x * x + y * y))
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) * lamp
    lit = grey.clip(0, 255).astype(np.uint8)
    return _sensor_noise(cv2.cvtColor(lit, cv2.COLOR_GRAY2BGR), rng, most=14)


def _posts(image: U8, rng: np.random.Generator) -> U8:
    """Return the image behind posts or bars, slightly tilted; at most a third of it is hidden."""
    height, width = image.shape[:2]
    count = int(rng.integers(1, 13))
    thick = max(1.0, width * min(rng.uniform(0.008, 0.1), 0.33 / count))
    apart = width / count
    foot = apart * rng.uniform(0, 1) + apart * np.arange(count) + rng.uniform(-0.2, 0.2, count) * apart * (count < 5)
    lean = rng.normal(0, 0.04) * height
    colour = rng.uniform(15, 235) + rng.uniform(-25, 25, 3)
    out = image.copy()
    for x in foot:
        corners = [(x, height), (x + thick, height), (x + thick + lean, 0), (x + lean, 0)]
        cv2.fillPoly(out, [np.round(corners).astype(np.int32)], (colour * rng.uniform(0.8, 1.2)).clip(0, 255).tolist())
    return out


def _flat(rng: np.random.Generator) -> U8:
    return np.full((240, 320, 3), rng.integers(0, 256, 3), np.uint8)


def _graded(rng: np.random.Generator) -> U8:
    corners = rng.integers(0, 256, (2, 2, 3)).astype(np.uint8)
    return cv2.resize(corners, (320, 240), interpolation=cv2.INTER_LINEAR)


def _noisy(rng: np.random.Generator) -> U8:
    cells = int(rng.integers(2, 60))
    field = rng.integers(0, 256, (cells, cells, 3)).astype(np.uint8)
    return cv2.resize(field, (320, 240), interpolation=int(rng.choice([cv2.INTER_NEAREST, cv2.INTER_CUBIC])))
