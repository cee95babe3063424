"""Chance, in the words the random scenes use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from tools.synth.geometry import RGB
from tools.synth.skeleton import Turn

T = TypeVar("T")


class Dice:
    """Draws from one seeded generator."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def between(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def around(self, middle: float, spread: float) -> float:
        return float(self.rng.normal(middle, spread))

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def below(self, n: int) -> int:
        return int(self.rng.integers(n))

    def one(self, of: Sequence[T]) -> T:
        return of[self.below(len(of))]

    def tone(self, rgb: RGB, spread: float) -> RGB:
        """A colour lighter or darker by about `spread` of 255, and a little off."""
        share = np.array(rgb) / max(rgb)
        r, g, b = np.clip(rgb + self.rng.normal(0, spread) * share + self.rng.normal(0, spread / 5, 3), 4, 250)
        return float(r), float(g), float(b)

    def colour(self) -> RGB:
        """Any colour that cloth has."""
        r, g, b = np.clip(self.rng.normal(self.between(30, 190), 45, 3), 8, 245)
        return float(r), float(g), float(b)

    def turn(self, roll: float, pitch: float, yaw: float) -> Turn:
        """Degrees off, about so many."""
        return self.around(0, roll), self.around(0, pitch), self.around(0, yaw)
