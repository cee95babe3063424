"""An aisle watched: every horse that walks along it is a passage, and a day of passages is a trend.

Upstream: every result of the camera. Downstream: the daily message. Called by one thread; `day` survives restarts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import numpy as np

from edged.behaviour.horse.behaviours import median_of
from edged.behaviour.horse.gait import Passage, measure_passage
from edged.behaviour.horse.points import KeypointObservation
from edged.frame import FrameResult
from edged.units import NS_PER_S

PASSED_AFTER_S = 2.0  # not seen for so long: it has passed
MAX_OBSERVATIONS = 1200  # sightings of one passage: beyond, it stands there
TREND_FIELDS = ("stride_hz", "speed", "fore_ratio", "hind_ratio")


@dataclass(slots=True)
class GaitDay:
    """One local date's passages, as plain data."""

    date: str
    passages: list[dict[str, float | None]] = field(default_factory=list)

    def trend(self) -> dict[str, float | None]:
        """The median of each figure over the passages that have it."""
        known = {name: [one[name] for one in self.passages if one.get(name) is not None] for name in TREND_FIELDS}
        return {
            name: round(median_of(np.array(values, float)), 2) if values else None for name, values in known.items()
        }


class AisleMonitor:
    """`sure` is the score from which a keypoint counts as seen."""

    def __init__(self, keypoint_threshold: float, day: GaitDay | None, on_change: Callable[[], None]) -> None:
        self.day = day
        self._keypoint_threshold = keypoint_threshold
        self._on_change = on_change
        self._tracks: dict[int, list[KeypointObservation]] = {}

    def process(self, result: FrameResult) -> None:
        for subject in result.subjects:
            if subject.label == "horse" and subject.keypoints is not None:
                x0, y0, x1, y1 = map(float, subject.xyxy)
                track = self._tracks.setdefault(subject.id, [])
                if len(track) < MAX_OBSERVATIONS:
                    t_s = result.captured_ns / NS_PER_S
                    track.append(
                        KeypointObservation.from_keypoints(
                            t_s, subject.keypoints, (x0, y0, x1, y1), self._keypoint_threshold
                        )
                    )

    def tick(self, now_s: float, local: datetime) -> None:
        """Who has passed is measured."""
        gone = [number for number, track in self._tracks.items() if now_s - track[-1].t_s > PASSED_AFTER_S]
        for number in gone:
            if (one := measure_passage(self._tracks.pop(number))) is not None:
                self._add_passage(one, local.date().isoformat())

    def _add_passage(self, passage: Passage, date: str) -> None:
        if self.day is None or date > self.day.date:
            self.day = GaitDay(date)
        self.day.passages.append(asdict(passage))
        self._on_change()


def parse_gait_days(tables: dict[str, dict[str, Any]]) -> dict[str, GaitDay]:
    """By camera. Raises TypeError or AttributeError for what is none."""
    return {name: GaitDay(**table) for name, table in tables.items()}
