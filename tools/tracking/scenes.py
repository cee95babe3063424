"""Synthetic scenes whose truth is known: walkers who turn, cross, hide and are missed by the detector."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from edged.frame import F32, F64, Boxes, Flags
from edged.units import ns

SIZE_WH = np.array([1280.0, 720.0])
MIN_CONFIDENT = 0.3  # score a detection needs to start a track


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Step:
    """One detector run."""

    t_ns: int
    xyxy: F32  # (M, 4) where the subjects are
    hidden: Flags  # (M,) nothing could be detected
    boxes: Boxes  # detections


class _Walkers:
    """Boxes that wander about the image and forget their direction in about a second."""

    def __init__(self, rng: np.random.Generator, n: int, speed: float) -> None:
        height = rng.uniform(110, 330, n)
        self._rng, self._speed = rng, speed
        self._wh = np.stack([height * rng.uniform(0.35, 0.5, n), height], axis=1)
        self._size = np.sqrt(self._wh.prod(axis=1))[:, None]
        self._centre = rng.uniform(self._wh / 2, SIZE_WH - self._wh / 2)
        self._velocity = rng.normal(0, speed, (n, 2)) * self._size

    def walk(self, dt_s: float) -> F64:
        """(N, 4) the boxes `dt_s` later; they turn at the image's edges."""
        push = self._rng.normal(0, self._speed * np.sqrt(2 * dt_s), self._wh.shape) * self._size
        self._velocity = (self._velocity + push) * np.exp(-dt_s)
        centre = self._centre + self._velocity * dt_s
        self._centre = centre.clip(self._wh / 2, SIZE_WH - self._wh / 2)
        self._velocity[centre != self._centre] *= -1
        return np.concatenate([self._centre - self._wh / 2, self._centre + self._wh / 2], axis=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """How hard it is made. Walking is about 1 size per second, size being the square root of the box area."""

    name: str
    subjects: int
    fps: tuple[float, float]  # each frame's own rate is drawn from this range
    missed: float = 0.1  # of the visible subjects; half of them are detected below the threshold
    jitter: float = 0.04  # of the box's sides
    ghosts: float = 0.1  # false detections per frame
    hides_per_s: float = 0.1  # per subject, for 0.5 to 2 s
    flips: float = 0.0  # share of detections given the wrong class
    speed: float = 1.0  # sizes/s
    seconds: float = 30.0

    def steps(self, seed: int) -> Iterator[Step]:
        rng = np.random.default_rng(seed)
        walkers, hidden_until_s, t_s = _Walkers(rng, self.subjects, self.speed), np.zeros(self.subjects), 0.0
        while t_s < self.seconds:
            dt_s = 1 / rng.uniform(*self.fps)
            t_s += dt_s
            xyxy = walkers.walk(dt_s)
            hides = (rng.random(self.subjects) < self.hides_per_s * dt_s) & (hidden_until_s < t_s)
            hidden_until_s[hides] = t_s + rng.uniform(0.5, 2.0, int(hides.sum()))
            hidden = (hidden_until_s > t_s) | _covered(xyxy)
            boxes = self._detect(rng, xyxy[~hidden])
            yield Step(t_ns=ns(t_s), xyxy=xyxy.astype(np.float32), hidden=hidden, boxes=boxes)

    def _detect(self, rng: np.random.Generator, xyxy: F64) -> Boxes:
        chance = rng.random(len(xyxy))
        score = np.where(
            chance < self.missed,
            rng.uniform(0.1, MIN_CONFIDENT, len(xyxy)),
            rng.uniform(MIN_CONFIDENT, 0.95, len(xyxy)),
        )
        wh = xyxy[:, 2:] - xyxy[:, :2]
        xyxy = xyxy + rng.normal(0, self.jitter, xyxy.shape) * np.tile(wh, 2)
        detected = chance >= self.missed / 2
        ghosts = _ghosts(rng, rng.poisson(self.ghosts))
        xyxy = np.concatenate([xyxy[detected], ghosts])
        score = np.concatenate([score[detected], rng.uniform(0.1, 0.6, len(ghosts))])
        label = (rng.random(len(score)) < self.flips).astype(np.int64)
        order = np.argsort(-score)
        return Boxes(xyxy=xyxy[order].astype(np.float32), score=score[order].astype(np.float32), label=label[order])


def _covered(xyxy: F64) -> Flags:
    """Subjects more than 60 % behind a nearer one (lower in the image)."""
    both = np.minimum(xyxy[:, None, 2:], xyxy[None, :, 2:]) - np.maximum(xyxy[:, None, :2], xyxy[None, :, :2])
    share = both.clip(min=0).prod(axis=2) / (xyxy[:, 2:] - xyxy[:, :2]).prod(axis=1)[:, None]
    nearer = xyxy[None, :, 3] > xyxy[:, None, 3]
    return np.asarray((nearer & (share > 0.6)).any(axis=1))


def _ghosts(rng: np.random.Generator, n: int) -> F64:
    wh = rng.uniform([40, 80], [160, 330], (n, 2))
    corner = rng.uniform(0, 1, (n, 2)) * (SIZE_WH - wh)
    return np.concatenate([corner, corner + wh], axis=1)


SCENES = (
    Scene(name="room, 30 Hz", subjects=4, fps=(25, 30)),
    Scene(name="room, 5-30 Hz", subjects=4, fps=(5, 30), missed=0.2),
    Scene(name="room, 5 Hz", subjects=4, fps=(4, 6), missed=0.2),
    Scene(name="runners, 10-30 Hz", subjects=4, fps=(10, 30), speed=3.0),
    Scene(name="misses 40 %", subjects=8, fps=(10, 30), missed=0.4, ghosts=0.5, jitter=0.06),
    Scene(name="crowd", subjects=16, fps=(10, 30), missed=0.2, ghosts=0.3),
    Scene(name="class flips", subjects=2, fps=(10, 30), flips=0.2),
)
