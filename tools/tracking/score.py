"""How well ids were kept: CLEAR MOT (Bernardin & Stiefelhagen, 2008) and IDF1 (Ristani et al., 2016)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from edged.frame import F32, I64
from tools.tracking.scenes import Step


@dataclass(slots=True)
class TrackingScore:
    """Counts over the steps of any number of scenes; begin each scene with `new_scene`."""

    truths: int = 0
    missed: int = 0
    false: int = 0
    switches: int = 0
    fragmentations: int = 0  # fragmentations: a subject lost and found again
    published: int = 0
    id_matches: int = 0  # frames in which the one best id of each subject was on it
    _id_frames: Counter[tuple[int, int]] = field(default_factory=Counter)
    _last_id: dict[int, int] = field(default_factory=dict)
    _lost: set[int] = field(default_factory=set)

    def new_scene(self) -> None:
        self.id_matches += _best_sum(self._id_frames)
        self._id_frames, self._last_id, self._lost = Counter(), {}, set()

    def add(self, step: Step, ids: I64, xyxy: F32) -> None:
        """Score the boxes published with `ids` against one step's truth; hidden subjects count neither way."""
        hits = _hits(step.xyxy, xyxy)
        hidden = {t for t in range(len(step.xyxy)) if step.hidden[t]}
        on = {t: int(ids[p]) for t, p in hits if t not in hidden}
        self.published += len(ids) - sum(t in hidden for t, _ in hits)
        self.truths += len(step.xyxy) - len(hidden)
        self.missed += len(step.xyxy) - len(hidden) - len(on)
        self.false += len(ids) - len(hits)
        for truth in range(len(step.xyxy)):
            self._score_subject(truth, on.get(truth), truth in hidden)

    def _score_subject(self, truth: int, track: int | None, hidden: bool) -> None:
        if track is None:
            if not hidden and truth in self._last_id:
                self._lost.add(truth)
            return
        self._id_frames[truth, track] += 1
        self.switches += self._last_id.get(truth, track) != track
        self.fragmentations += truth in self._lost
        self._lost.discard(truth)
        self._last_id[truth] = track

    def figures(self) -> dict[str, float | int]:
        """What the report states."""
        return {
            "idf1": self.idf1,
            "mota": self.mota,
            "switches": self.switches,
            "fragmentations": self.fragmentations,
        }

    @property
    def mota(self) -> float:
        return 1 - (self.missed + self.false + self.switches) / max(self.truths, 1)

    @property
    def idf1(self) -> float:
        return 2 * self.id_matches / max(self.truths + self.published, 1)


def _hits(truth: F32, published: F32) -> list[tuple[int, int]]:
    """Pairs that overlap by half or more, best first."""
    both = np.minimum(truth[:, None, 2:], published[None, :, 2:]) - np.maximum(
        truth[:, None, :2], published[None, :, :2]
    )
    shared = both.clip(min=0).prod(axis=2)
    area_t, area_p = ((b[:, 2:] - b[:, :2]).prod(axis=1) for b in (truth, published))
    iou = shared / (area_t[:, None] + area_p - shared)
    return _greedy({(int(t), int(p)): float(iou[t, p]) for t, p in zip(*np.nonzero(iou >= 0.5), strict=True)})


def _greedy(worth: dict[tuple[int, int], float]) -> list[tuple[int, int]]:
    pairs: list[tuple[int, int]] = []
    rows: set[int] = set()
    columns: set[int] = set()
    for row, column in sorted(worth, key=lambda pair: -worth[pair]):
        if row not in rows and column not in columns:
            pairs.append((row, column))
            rows.add(row)
            columns.add(column)
    return pairs


def _best_sum(together: Counter[tuple[int, int]]) -> int:
    """Frames in which each subject wore its id, one id per subject, most frequent first."""
    return sum(together[pair] for pair in _greedy({k: float(v) for k, v in together.items()}))
