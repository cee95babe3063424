"""An aisle watched: every horse that walks along it is a passage, and a day of passages is a trend.

Upstream: every result of the camera. Downstream: the daily message. Called by one thread; `day` survives restarts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import numpy as np

from edged.barn.gait import Passage, passage
from edged.barn.motion import middle
from edged.barn.points import Sighting
from edged.frame import Result
from edged.units import NS_PER_S

GONE_S = 2.0  # not seen for so long: it has passed
MOST = 1200  # sightings of one passage: beyond, it stands there
FIGURES = ("stride_hz", "speed", "fore_ratio", "hind_ratio")


@dataclass(slots=True)
class GaitDay:
    """One local date's passages, as plain data."""

    date: str
    passages: list[dict[str, float | None]] = field(default_factory=list)

    def trend(self) -> dict[str, float | None]:
        """The median of each figure over the passages that have it."""
        known = {name: [one[name] for one in self.passages if one.get(name) is not None] for name in FIGURES}
        return {name: round(middle(np.array(values, float)), 2) if values else None for name, values in known.items()}


class AisleWatch:
    """`sure` is the score from which a keypoint counts as seen."""

    def __init__(self, sure: float, day: GaitDay | None, changed: Callable[[], None]) -> None:
        self.day = day
        self._sure = sure
        self._changed = changed
        self._walkers: dict[int, list[Sighting]] = {}

    def see(self, result: Result) -> None:
        for subject in result.seen:
            if subject.label == "horse" and subject.keypoints is not None:
                x0, y0, x1, y1 = map(float, subject.xyxy)
                track = self._walkers.setdefault(subject.id, [])
                if len(track) < MOST:
                    t_s = result.captured_ns / NS_PER_S
                    track.append(Sighting.of(t_s, subject.keypoints, (x0, y0, x1, y1), self._sure))

    def tick(self, now_s: float, local: datetime) -> None:
        """Who has passed is measured."""
        gone = [number for number, track in self._walkers.items() if now_s - track[-1].t_s > GONE_S]
        for number in gone:
            if (one := passage(self._walkers.pop(number))) is not None:
                self._note(one, local.date().isoformat())

    def _note(self, one: Passage, date: str) -> None:
        if self.day is None or date > self.day.date:
            self.day = GaitDay(date)
        self.day.passages.append(asdict(one))
        self._changed()


def days_of(tables: dict[str, dict[str, Any]]) -> dict[str, GaitDay]:
    """By camera. Raises TypeError or AttributeError for what is none."""
    return {name: GaitDay(**table) for name, table in tables.items()}
