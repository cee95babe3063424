"""Windows of single people for the models of people in space: rendered over photographs, or photographed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

import cv2
import numpy as np

from edged.frame import F32, F64, U8
from engines.card.schema import SCHEMAS
from tools.nets.space import NAMES, SCHEMA
from tools.synth.portraits import SIDE_PX, Portraits, over
from tools.train.crops import LABELLED, PADDING, PosedPhotographs, SportsCrops, Subject, flipped
from tools.train.photographs import Photographs
from tools.train.pictures import Sports, _vary_light, degraded
from tools.train.space import DEEP, FLAT, SPAN_MM

MIDDLES = {"pelvis": "hip", "thorax": "shoulder"}  # of both sides
CUT_SHARE, OTHER_SHARE, PIECE_SHARE = 0.25, 0.25, 0.25  # of portraits: cut by the image's edge, partly hidden
DEGRADED_SHARE = 0.15


class Person(NamedTuple):
    image: U8
    xyxy: F64  # (4,) the box, px
    joints: F32  # (18, 4) x, y in px, z from the root in mm, state: 0 unknown, FLAT or DEEP
    far_mm_per_px: float  # depth of the root over the focal length; 0: not known


class Source(Protocol):
    def draw(self, rng: np.random.Generator) -> Person: ...


@dataclass(frozen=True, slots=True)
class Photographed:
    """People in photographs with keypoints of COCO, which have no depth."""

    posed: PosedPhotographs | SportsCrops

    @staticmethod
    def read(data: Path, split: str) -> Photographed:
        return Photographed(PosedPhotographs.of(Photographs.read(data / "real", split), "coco-17", "person"))

    @staticmethod
    def sports(data: Path) -> Photographed:
        return Photographed(SportsCrops(Sports.read(data / "lsp")))

    def draw(self, rng: np.random.Generator) -> Person:
        return self.of(self.posed.draw(rng))

    @staticmethod
    def of(subject: Subject) -> Person:
        half = np.array(subject.size_wh) / 2
        box = np.concatenate([np.array(subject.centre) - half, np.array(subject.centre) + half])
        return Person(subject.image, box, flat_joints(subject.keypoints), 0.0)


def flat_joints(points: F32) -> F32:
    """Return the joints (18, 4) of COCO's keypoints (17, 3): limbs, and the middles of hips and of shoulders."""
    by_name = dict(zip(SCHEMAS["coco-17"].keypoints, points, strict=True))
    joints = np.zeros((len(NAMES), 4), np.float32)
    for k, name in enumerate(NAMES):
        ends = [f"{side}_{MIDDLES[name]}" for side in ("left", "right")] if name in MIDDLES else [name]
        known = [by_name[end] for end in ends if end in by_name and by_name[end][2] == LABELLED]
        if name != "nose" and len(known) == len(ends):  # Human3.6M's nose is another point
            joints[k, :2], joints[k, 3] = np.mean(known, axis=0)[:2], FLAT
    return joints


@dataclass(frozen=True, slots=True)
class Rendered:
    """Portraits over any part of a photograph; some are cut by an edge, or partly hidden."""

    folders: Sequence[Portraits]
    backgrounds: Photographs
    kept: dict[int, U8] = field(default_factory=dict)  # backgrounds, decoded

    def draw(self, rng: np.random.Generator) -> Person:
        portraits = self.folders[int(rng.integers(len(self.folders)))]
        i = int(rng.integers(len(portraits)))
        person = self.placed(portraits, i, rng)
        if rng.random() < PIECE_SHARE:
            self._hide(person, rng)
        if rng.random() < OTHER_SHARE:
            self._pass(person, portraits.image(int(rng.integers(len(portraits)))), rng)
        return cut(person, rng) if rng.random() < CUT_SHARE else person

    def placed(self, portraits: Portraits, i: int, rng: np.random.Generator) -> Person:
        """Return portrait `i` over a background."""
        mm, (fx, fy, cx, cy) = portraits.joints_mm[i], portraits.lens[i]
        joints = np.empty((len(mm), 4), np.float32)
        joints[:, 0], joints[:, 1] = mm[:, 0] / mm[:, 2] * fx + cx, mm[:, 1] / mm[:, 2] * fy + cy
        joints[:, 2], joints[:, 3] = mm[:, 2] - mm[0, 2], DEEP
        image = over(portraits.image(i), self._background(rng))
        return Person(image, portraits.xyxy[i].astype(np.float64), joints, float(mm[0, 2] / fx))

    def _background(self, rng: np.random.Generator) -> U8:
        i = int(rng.integers(len(self.backgrounds.rows)))
        if i not in self.kept:
            self.kept[i] = self.backgrounds.image(self.backgrounds.rows[i])
        image = self.kept[i]
        side = min(image.shape[:2]) * rng.uniform(0.4, 1.0)
        x, y = (rng.uniform(0, length - side) for length in image.shape[1::-1])
        scale = SIDE_PX / side
        matrix = np.array([[scale, 0, -scale * x], [0, scale, -scale * y]])
        return np.asarray(cv2.warpAffine(image, matrix, (SIDE_PX, SIDE_PX), borderMode=cv2.BORDER_REFLECT), np.uint8)

    def _hide(self, person: Person, rng: np.random.Generator) -> None:
        """Put a piece of a photograph before the person: a rectangle at one side of the box, or anywhere in it."""
        piece, (x0, y0, x1, y1) = self._background(rng), person.xyxy
        w, h = (int(rng.uniform(0.15, 0.5) * length) for length in (x1 - x0, y1 - y0))
        x, y = int(rng.uniform(x0 - w / 2, x1 - w / 2)), int(rng.uniform(y0 - h / 2, y1 - h / 2))
        area = np.s_[max(y, 0) : y + h, max(x, 0) : x + w]
        person.image[area] = piece[area]

    def _pass(self, person: Person, other: U8, rng: np.random.Generator) -> None:
        """Put another person before this one, who stays visible for the greater part."""
        width = person.xyxy[2] - person.xyxy[0]
        shift = rng.uniform(0.6, 1.3) * width * rng.choice([-1, 1])
        matrix = np.array([[1, 0, shift], [0, 1, rng.uniform(-20, 60)]])
        person.image[:] = over(np.asarray(cv2.warpAffine(other, matrix, (SIDE_PX, SIDE_PX)), np.uint8), person.image)


def cut(person: Person, rng: np.random.Generator) -> Person:
    """Return the person cut by an edge of the image, mostly the lower one, with the box of what is left."""
    image, box = person.image.copy(), person.xyxy.copy()
    edge = int(rng.choice(4, p=[0.2, 0.05, 0.2, 0.55]))  # left, upper, right, lower
    axis, share = edge % 2, rng.uniform(0.1, 0.55 if edge == 3 else 0.4)
    length = box[axis + 2] - box[axis]
    at = box[axis] + share * length if edge < 2 else box[axis + 2] - share * length
    box[edge] = at
    gone = np.s_[: int(at)] if edge < 2 else np.s_[int(at) :]
    image[(slice(None), gone) if axis == 0 else gone] = 0
    return person._replace(image=image, xyxy=box)


@dataclass(frozen=True, slots=True)
class Windows:
    """Augmented input windows: rotation, scale, flip, light, defects."""

    sources: Sequence[Source]
    weights: Sequence[float]
    side: int

    def draw(self, rng: np.random.Generator) -> tuple[U8, F32, float]:
        """Return a window (side, side, 3) BGR, joints (18, 4) in its px and mm, and gamma, 0 if it is not known."""
        person = self.sources[int(rng.choice(len(self.sources), p=self.weights))].draw(rng)
        grown = PADDING * float(np.exp(rng.uniform(-0.22, 0.25)))
        turn = math.radians(rng.uniform(-35, 35)) if rng.random() < 0.5 else 0.0
        shift = rng.normal(0, 0.05, 2).clip(-0.12, 0.12)
        window, joints, gamma = windowed(person, self.side, grown, turn, shift)
        if rng.random() < 0.5:
            window, joints = mirrored(window, joints)
        if rng.random() < 0.3:
            window = _coarse(window, rng)
        window = _vary_light(window, rng)
        return (degraded(window, rng) if rng.random() < DEGRADED_SHARE else window), joints, gamma


def windowed(
    person: Person, side: int, padding: float = PADDING, turn: float = 0.0, shift: Sequence[float] | F64 = (0, 0)
) -> tuple[U8, F32, float]:
    """Return the window as the daemon cuts it; turned by `turn` rad, and shifted by shares of its side."""
    low, high = person.xyxy[:2], person.xyxy[2:]
    side_px = float((high - low).max()) * padding
    scale = side / side_px
    cos, sin = scale * math.cos(turn), scale * math.sin(turn)
    linear = np.array([[cos, -sin], [sin, cos]])
    matrix = np.column_stack([linear, side / 2 - linear @ ((low + high) / 2 + np.array(shift) * side_px)])
    window = np.asarray(cv2.warpAffine(person.image, matrix, (side, side)), np.uint8)
    joints = person.joints.copy()
    joints[:, :2] = joints[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    return window, joints, person.far_mm_per_px * side_px / SPAN_MM


def mirrored(window: U8, joints: F32) -> tuple[U8, F32]:
    """Return the mirror image, with left and right exchanged; depths stay."""
    joints = joints[flipped(SCHEMA)]
    joints[:, 0] = window.shape[1] - joints[:, 0]
    return np.ascontiguousarray(window[:, ::-1]), joints


def _coarse(window: U8, rng: np.random.Generator) -> U8:
    """Return the window as a person far away is seen: enlarged from a few pixels."""
    side = int(window.shape[0] * rng.uniform(0.2, 0.7))
    small = cv2.resize(window, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, window.shape[1::-1], interpolation=cv2.INTER_LINEAR), np.uint8)
