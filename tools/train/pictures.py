"""Training data of the detector: rendered scenes, photographs of horses, mosaics of people, images without subjects.

Every source returns (image BGR, boxes (N, 4) x0 y0 x1 y1, classes (N,)). `Mix` places them on the canvas as the daemon
does, or scaled and cropped at random.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from edged.frame import F32, I64, U8
from tools.robustness.conditions import streaked

Picture = tuple[U8, F32, I64]

PERSON, HORSE = 0, 1
SIZE_WH = (416, 256)  # the canvas: close to 16:9, so that little of it is padding
GREY = 114
MIN_VISIBLE = 0.15  # share of a rendered subject; less visible ones are not labelled
MIN_PX = 8  # shortest side of a box on the canvas
MIN_SHARE = 0.2  # share of a box that must remain after cropping
DEGRADED_SHARE = 0.4  # share of images with simulated camera defects or posts
NO_SUBJECTS: tuple[F32, I64] = (np.zeros((0, 4), np.float32), np.zeros(0, np.int64))


@dataclass(frozen=True, slots=True)
class Scenes:
    """A folder made by `python -m tools.synth dataset`."""

    files: list[Path]
    boxes: list[F32]
    labels: list[I64]

    @staticmethod
    def read(folder: Path) -> Scenes:
        truth = json.loads((folder / "truth.json").read_text())
        kinds = {category["id"]: category["name"] for category in truth["categories"]}
        found: dict[int, list[tuple[list[float], int]]] = {image["id"]: [] for image in truth["images"]}
        for one in truth["annotations"]:
            if one["visible"] >= MIN_VISIBLE:
                x, y, w, h = one["bbox"]
                label = HORSE if kinds[one["category_id"]] == "horse" else PERSON
                found[one["image_id"]].append(([x, y, x + w, y + h], label))
        files = [folder / "images" / image["file_name"] for image in truth["images"]]
        boxes = [np.array([box for box, _ in rows], np.float32).reshape(-1, 4) for rows in found.values()]
        labels = [np.array([label for _, label in rows], np.int64) for rows in found.values()]
        return Scenes(files, boxes, labels)

    def draw(self, rng: np.random.Generator) -> Picture:
        i = int(rng.integers(len(self.files)))
        return read(self.files[i]), self.boxes[i], self.labels[i]


@dataclass(frozen=True, slots=True)
class Horses:
    """Photographs of one horse each, without the validation set."""

    files: list[Path]
    boxes: list[F32]

    @staticmethod
    def read(folder: Path) -> Horses:
        kept = set(json.loads((folder / "keypoints_val.json").read_text()))
        labels = json.loads((folder / "boxes.json").read_text())
        boxes = {folder / "images" / f"{name}.jpg": box for name, box in labels.items() if name not in kept}
        files = [file for file in boxes if file.exists()]
        return Horses(files, [np.array([boxes[file]], np.float32) for file in files])

    def draw(self, rng: np.random.Generator) -> Picture:
        i = int(rng.integers(len(self.files)))
        return read(self.files[i]), self.boxes[i], np.array([HORSE])


@dataclass(frozen=True, slots=True)
class People:
    """Leeds Sports Pose crops, one to four of them on one canvas; boxes from a teacher, or around the joints."""

    data: U8
    offsets: I64
    boxes: list[F32]

    @staticmethod
    def read(folder: Path, teacher: Callable[[U8], F32]) -> People:
        """Return the data; `teacher` returns the boxes (N, 4) of people in an image."""
        data = np.fromfile(folder / "train.bin", np.uint8)
        with np.load(folder / "train.npz") as labels:
            offsets, joints = labels["offset"].astype(np.int64), labels["joints"]
        boxes = [
            _merge_teacher(_around(points), teacher(_decoded(data, offsets, i))) for i, points in enumerate(joints)
        ]
        return People(data, offsets, boxes)

    def draw(self, rng: np.random.Generator) -> Picture:
        columns, rows = ((1, 1), (2, 1), (1, 2), (2, 2))[int(rng.integers(4))]
        canvas = np.full((256 * rows, 256 * columns, 3), GREY, np.uint8)
        boxes = []
        for x in range(columns):
            for y in range(rows):
                i = int(rng.integers(len(self.boxes)))
                canvas[256 * y : 256 * (y + 1), 256 * x : 256 * (x + 1)] = _decoded(self.data, self.offsets, i)
                boxes.append(self.boxes[i] + np.array([256 * x, 256 * y, 256 * x, 256 * y], np.float32))
        found = np.concatenate(boxes)
        return canvas, found, np.zeros(len(found), np.int64)


@dataclass(frozen=True, slots=True)
class EmptyImages:
    """Images without subjects: flat, graded and noisy fields, and backgrounds of horse photographs."""

    horses: Horses

    def draw(self, rng: np.random.Generator) -> Picture:
        makers = (_flat, _graded, _noisy, self._background)
        return makers[int(rng.integers(len(makers)))](rng), *NO_SUBJECTS

    def _background(self, rng: np.random.Generator) -> U8:
        """Return the largest strip left, right, above or below the horse."""
        image, boxes, _ = self.horses.draw(rng)
        x0, y0, x1, y1 = boxes[0].round().astype(int).clip(0)
        strips = (image[:, :x0], image[:, x1:], image[:y0], image[y1:])
        strip = max(strips, key=lambda s: min(s.shape[:2]))
        return strip if min(strip.shape[:2]) >= 32 else _flat(rng)


Source = Scenes | Horses | People | EmptyImages


@dataclass(frozen=True, slots=True)
class Mix:
    """Draws each sample from a source, by weight."""

    sources: Sequence[Source]
    weights: Sequence[float]

    def draw(self, rng: np.random.Generator) -> tuple[U8, F32, I64, bool]:
        """Return an image (256, 416, 3), its boxes and labels, and whether it is an undegraded photograph."""
        source = self.sources[int(rng.choice(len(self.sources), p=self.weights))]
        image, boxes, labels = source.draw(rng)
        if rng.random() < 0.5:
            image, boxes = image[:, ::-1], boxes[:, [2, 1, 0, 3]] * np.array([-1, 1, -1, 1], np.float32)
            boxes = boxes + np.array([image.shape[1], 0, image.shape[1], 0], np.float32)
        image, fair = _vary_light(np.ascontiguousarray(image), rng), rng.random() >= DEGRADED_SHARE
        photograph = isinstance(source, Horses | People) and fair
        return *placed(image if fair else _degrade(image, rng), boxes, labels, rng), photograph


def placed(image: U8, boxes: F32, labels: I64, rng: np.random.Generator) -> Picture:
    """Return the image on the canvas, at the top left as in the daemon, or scaled and shifted at random."""
    height, width = image.shape[:2]
    scale, dx, dy = min(SIZE_WH[0] / width, SIZE_WH[1] / height), 0.0, 0.0
    if rng.random() < 0.6:
        scale *= float(np.exp(rng.uniform(np.log(0.5), np.log(1.9))))
        room = (side - n * scale for side, n in zip(SIZE_WH, (width, height), strict=True))
        dx, dy = (rng.uniform(min(0, left), max(0, left)) for left in room)
    matrix = np.array([[scale, 0, dx], [0, scale, dy]])
    flags = cv2.INTER_AREA if scale < 0.5 else cv2.INTER_LINEAR
    canvas = cv2.warpAffine(image, matrix, SIZE_WH, flags=flags, borderValue=(GREY, GREY, GREY))
    moved = boxes * np.float32(scale) + np.array([dx, dy, dx, dy], np.float32)
    cut = moved.clip(0, np.array(SIZE_WH * 2, np.float32))
    area, rest = _area(moved), _area(cut)
    shortest = (cut[:, 2:] - cut[:, :2]).min(axis=1) if len(cut) else np.zeros(0)
    kept = (rest >= MIN_SHARE * area) & (shortest >= MIN_PX)
    return canvas, cut[kept], labels[kept]


def read(path: Path) -> U8:
    image = cv2.imread(str(path))
    if image is None:
        raise ValueError(f"{path}: not an image; create the dataset again")
    return np.asarray(image, np.uint8)


def _decoded(data: U8, offsets: I64, i: int) -> U8:
    return np.asarray(cv2.imdecode(data[offsets[i] : offsets[i + 1]], cv2.IMREAD_COLOR), np.uint8)


def _around(joints: F32) -> F32:
    """Return a box around the visible joints, with a margin."""
    points = joints[joints[:, 2] > 0, :2]
    low, high = points.min(axis=0), points.max(axis=0)
    room = 0.08 * (high - low) + 4
    return np.concatenate([low - room, high + room]).astype(np.float32).clip(0, 256)


def _merge_teacher(own: F32, seen: F32) -> F32:
    """Return the boxes of the teacher, and the labelled person if the teacher missed it."""
    if not len(seen):
        return own[None]
    low, high = np.maximum(own[:2], seen[:, :2]), np.minimum(own[2:], seen[:, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=1)
    same = shared / (_area(own[None]) + _area(seen) - shared) > 0.3
    return seen if same.any() else np.concatenate([seen, own[None]])


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


def _degrade(image: U8, rng: np.random.Generator) -> U8:
    """Return the image with one defect: noise, motion blur, low light, infrared or posts."""
    ways = (_sensor_noise, _motion_blur, _dim, _infrared, _posts)
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
