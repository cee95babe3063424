"""Stable ids: which box of this frame is which subject of the frames before.

Upstream: the detector's boxes. Downstream: ids for messages, and boxes for frames without detector.
One `Tracks` per camera, used by the compute thread alone. Sure detections are matched before faint ones
(ByteTrack, Zhang et al., ECCV 2022), by overlap with boxes moved by a Kalman filter in real time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edged.config import Track
from edged.frame import F32, I64, SCORE, Boxes
from edged.units import NS_PER_S, ns

F64 = NDArray[np.float64]
Flags = NDArray[np.bool_]

# Motion, in sizes (square root of the box area) and seconds; chosen with `python -m tools.tracking`.
BIRTH_SPEED = 1.5  # spread of the speed of a subject just met, sizes/s
AGILITY = 6.0  # growth of the speed's variance, sizes²/s³
FADE_S = 1.0  # a subject keeps its velocity for about this long
BOX_NOISE = 0.08  # spread of a detected box's centre, sizes
POSE_NOISE = 0.12  # spread of a centre taken from keypoints, sizes
REACH = 0.75  # most a box is grown by doubt before matching, sizes per side

OTHER_CLASS = 0.3  # overlap that a detection of another class must show in addition
FAINT_OVERLAP = 0.4  # least overlap of a detection too faint to start a track
SAME_THING = 0.7  # overlap of two detections that are one subject, whatever their classes
VOTES = 10.0  # most the class of a track can be ahead, in summed scores
TRIAL_MISSES = 2  # detector runs in a row that end an unconfirmed track
DOUBT_NS = ns(0.3)  # longest that a box is carried with neither detector nor keypoints to show for it
OUTAGE_NS = ns(5)  # nobody looked for so long that the scene is new

CENTRE_VAR, COVAR, SPEED_VAR = range(3)
_TRACK = np.dtype(
    [
        ("id", np.int64),  # 0 until confirmed
        ("label", np.int64),  # the class ahead in the vote
        ("votes", np.float64),  # by how much, in summed scores
        ("score", np.float64),  # of the last detection
        ("hits", np.int64),
        ("misses", np.int64),  # detector runs without it, in a row
        ("seen_ns", np.int64),
        ("centre", np.float64, 2),  # px
        ("velocity", np.float64, 2),  # px/s
        ("wh", np.float64, 2),  # px
        ("spread", np.float64, 3),  # of each axis: CENTRE_VAR, COVAR, SPEED_VAR in sizes²
    ]
)
State = NDArray[np.void]


class Tracks:
    """The subjects of one camera.

    `starts` is the score a detection needs to start a track: one number, or one per class. Fainter ones
    only continue tracks. Ids count from 1 and are never used twice. Detections of the very first update are
    confirmed at once: a single picture has subjects too.
    """

    def __init__(self, options: Track, starts: ArrayLike = 0.0) -> None:
        self._options = options
        self._starts = np.asarray(starts, np.float32)  # as scores are
        self._live: State = np.zeros(0, _TRACK)
        self._ahead: tuple[int, State] | None = None  # the tracks as `carry` expected them, and when
        self._t_ns = 0
        self._ids = 0
        self._first = True

    def update(self, boxes: Boxes, t_ns: int) -> I64:
        """Match a detector run; return (N,) the track id of each box, -1 for those not (yet) subjects."""
        self._advance(t_ns)
        sure = boxes.score >= self._threshold(boxes.label)
        rows = self._match(boxes, sure)
        self._observe(rows, boxes)
        rows = self._start(rows, boxes, sure)
        self._confirm()
        self._first = False
        ids = np.where(rows >= 0, self._live["id"][rows], 0) if len(self._live) else rows
        self._drop()
        return np.where(ids > 0, ids, -1)

    def carry(self, t_ns: int) -> tuple[I64, Boxes]:
        """Ids and expected boxes at `t_ns`, best first, of the subjects present; for frames without detector.

        Present: confirmed, missed by at most one detector run, and seen in the last frame or a moment ago.
        """
        live = self._at(t_ns)
        self._ahead = t_ns, live
        lately = (live["seen_ns"] == self._t_ns) | (t_ns - live["seen_ns"] <= DOUBT_NS)
        live = live[(live["id"] > 0) & (live["misses"] <= 1) & lately]
        live = live[np.argsort(-live["score"], kind="stable")]
        boxes = Boxes(
            xyxy=_xyxy(live).astype(np.float32),
            score=live["score"].astype(np.float32),
            label=live["label"].copy(),
        )
        return live["id"].copy(), boxes

    def follow(self, ids: I64, boxes: Boxes, t_ns: int) -> None:
        """After a carried frame: these of the ids carried are still there, in these boxes."""
        self._advance(t_ns)
        order = np.argsort(self._live["id"], kind="stable")
        rows = order[np.searchsorted(self._live["id"], ids, sorter=order)] if len(ids) else ids
        self._live["seen_ns"][rows] = t_ns
        _correct(self._live, rows, boxes.xyxy, POSE_NOISE)

    def cut(self) -> None:
        """The scene is a new one: forget everybody, keep counting."""
        self._live, self._ahead = self._live[:0], None
        self._first = True

    def labels(self, ids: I64) -> I64:
        """The classes of live ids by majority; the detector may name another in single frames."""
        known = dict(zip(self._live["id"].tolist(), self._live["label"].tolist(), strict=True))
        return np.array([known[i] for i in ids.tolist()], np.int64)

    def _threshold(self, labels: I64) -> F32:
        return np.broadcast_to(self._starts, labels.shape) if self._starts.ndim == 0 else self._starts[labels]

    def _at(self, t_ns: int) -> State:
        """The tracks moved to `t_ns`, without those unseen through an outage. A clock set back ages nobody."""
        limit_ns = max(ns(self._options.patience_s), OUTAGE_NS)
        live = self._live[t_ns - self._live["seen_ns"] <= limit_ns]
        live["seen_ns"] = np.minimum(live["seen_ns"], t_ns)
        return _moved(live, max(0, t_ns - self._t_ns) / NS_PER_S)

    def _advance(self, t_ns: int) -> None:
        ahead, self._ahead = self._ahead, None
        live = ahead[1] if ahead and ahead[0] == t_ns else self._at(t_ns)
        self._live, self._t_ns = live, t_ns

    def _match(self, boxes: Boxes, sure: Flags) -> I64:
        """(N,) the row of the track that each box continues, -1 where none."""
        rows = np.full(len(boxes), -1, np.int64)
        if not len(boxes) or not len(self._live):
            return rows
        overlap = _overlap(self._live, boxes)
        known = self._live["id"] > 0
        least = self._options.iou
        stages = ((known, sure, least), (known, ~sure, max(least, FAINT_OVERLAP)), (~known, sure, least))
        free = np.ones(len(self._live), np.bool_)
        for tracks, detections, enough in stages:
            allowed = (tracks & free)[:, None] & (detections & (rows < 0))
            if not allowed.any():  # the later stages of nearly every frame
                continue
            for track, detection in _pairs(np.where(allowed, overlap, -1.0), enough):
                rows[detection], free[track] = track, False
        return rows

    def _observe(self, rows: I64, boxes: Boxes) -> None:
        """Take the matched boxes into their tracks; count a miss for every other track."""
        live, found = self._live, rows >= 0
        live["misses"] += 1
        rows, boxes = rows[found], boxes.take(found)
        _correct(live, rows, boxes.xyxy, BOX_NOISE)
        _vote(live, rows, boxes)
        live["misses"][rows] = 0
        live["hits"][rows] += 1
        live["seen_ns"][rows] = self._t_ns
        live["score"][rows] = boxes.score

    def _start(self, rows: I64, boxes: Boxes, sure: Flags) -> I64:
        """Start tracks for sure boxes without one, unless they double another box; return the new rows."""
        rows, fresh = rows.copy(), np.flatnonzero(sure & (rows < 0))
        if not len(fresh):
            return rows
        doubles = _iou(boxes.xyxy[fresh], boxes.xyxy) >= SAME_THING
        for i, double in zip(fresh.tolist(), doubles, strict=True):
            if not np.any(double & (rows >= 0)):
                rows[i] = len(self._live)
                self._live = np.concatenate([self._live, _born(boxes, i, self._t_ns)])
        return rows

    def _confirm(self) -> None:
        live = self._live
        needed = 1 if self._first else self._options.confirm
        for row in np.flatnonzero((live["id"] == 0) & (live["hits"] >= needed)):
            self._ids += 1
            live["id"][row] = self._ids

    def _drop(self) -> None:
        live = self._live
        unseen_ns = self._t_ns - live["seen_ns"]
        gone = (live["misses"] > 0) & (unseen_ns > ns(self._options.patience_s))
        self._live = live[~(gone | (live["id"] == 0) & (live["misses"] >= TRIAL_MISSES))]


def box_from_keypoints(keypoints: F32, score: float, box: F32) -> F32 | None:
    """The box moved as little as holds every keypoint of at least `score`; larger only if it must be.

    A box that loses sight of the legs so neither shrinks nor climbs. None when fewer than a quarter of
    the keypoints (or than three) are that sure: nobody knows then where the subject is.
    """
    sure = keypoints[keypoints[:, SCORE] >= score, :2]
    sure = sure[np.isfinite(sure).all(axis=1)]
    if len(sure) < max(3, len(keypoints) / 4):
        return None
    low, high = sure.min(axis=0), sure.max(axis=0)
    wh = np.maximum(box[2:] - box[:2], high - low)
    corner = np.clip((box[:2] + box[2:] - wh) / 2, high - wh, low)
    return np.concatenate([corner, corner + wh]).astype(np.float32)


def _born(boxes: Boxes, i: int, t_ns: int) -> State:
    """One unconfirmed track, standing where its first detection is."""
    x0, y0, x1, y1 = boxes.xyxy[i].tolist()
    score = float(boxes.score[i])
    values: tuple[Any, ...] = (
        *(0, int(boxes.label[i]), score, score, 1, 0, t_ns),
        *(((x0 + x1) / 2, (y0 + y1) / 2), (0.0, 0.0), (x1 - x0, y1 - y0)),
        (BOX_NOISE**2, 0.0, BIRTH_SPEED**2),
    )
    return np.array([values], _TRACK)


def _moved(live: State, dt_s: float) -> State:
    """The tracks after `dt_s`, in place: speed fades, doubt grows (white-noise acceleration)."""
    faded = np.exp(-dt_s / FADE_S)
    live["centre"] += live["velocity"] * (FADE_S * (1 - faded))
    live["velocity"] *= faded
    a, b, c = live["spread"].T
    live["spread"] = np.stack(
        [
            a + 2 * b * dt_s + c * dt_s**2 + AGILITY * dt_s**3 / 3,
            b + c * dt_s + AGILITY * dt_s**2 / 2,
            c + AGILITY * dt_s,
        ],
        axis=1,
    )
    return live


def _correct(live: State, rows: I64, xyxy: F32, noise: float) -> None:
    """Kalman correction of the given rows of `live`, in place; x, y, width and height share one gain."""
    a, b, c = live["spread"][rows].T
    gain, speed_gain = a / (a + noise**2), b / (a + noise**2)
    xyxy = xyxy.astype(np.float64)
    surprise = (xyxy[:, :2] + xyxy[:, 2:]) / 2 - live["centre"][rows]
    live["centre"][rows] += gain[:, None] * surprise
    live["velocity"][rows] += speed_gain[:, None] * surprise
    live["wh"][rows] += gain[:, None] * (xyxy[:, 2:] - xyxy[:, :2] - live["wh"][rows])
    live["spread"][rows] = np.stack([a * (1 - gain), b * (1 - gain), c - speed_gain * b], axis=1)


def _vote(live: State, rows: I64, boxes: Boxes) -> None:
    """Weighted majority with one candidate (Boyer & Moore), in place."""
    agrees = live["label"][rows] == boxes.label
    votes = live["votes"][rows] + np.where(agrees, boxes.score, -boxes.score)
    live["label"][rows] = np.where(votes < 0, boxes.label, live["label"][rows])
    live["votes"][rows] = np.minimum(np.abs(votes), VOTES)


def _xyxy(live: State) -> F64:
    return np.concatenate([live["centre"] - live["wh"] / 2, live["centre"] + live["wh"] / 2], axis=1)


def _overlap(live: State, boxes: Boxes) -> F64:
    """(T, N) how well each box fits each track: overlap, both grown by the track's doubt, less for another class."""
    size_px = np.sqrt(live["wh"].prod(axis=1).clip(min=1.0))
    doubt = np.minimum(np.sqrt(live["spread"][:, CENTRE_VAR]), REACH)
    fits = _iou(_xyxy(live), boxes.xyxy.astype(np.float64), grow_px=doubt * size_px)
    fits[live["label"][:, None] != boxes.label] -= OTHER_CLASS
    return fits


def _iou(a: NDArray[Any], b: NDArray[Any], grow_px: F64 | float = 0.0) -> F64:
    """(A, B) intersection over union; row i with both boxes grown by `grow_px[i]` on every side. Empty boxes: 0."""
    grow = 2 * np.broadcast_to(grow_px, len(a))[:, None]
    wh_a, wh_b = a[:, None, 2:] - a[:, None, :2], b[None, :, 2:] - b[None, :, :2]
    both = np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2])
    shared = (both + grow[..., None]).clip(min=0).prod(axis=2)
    union = (wh_a + grow[..., None]).prod(axis=2) + (wh_b + grow[..., None]).prod(axis=2) - shared
    return np.asarray(shared / np.maximum(union, 1e-9))


def _pairs(fits: F64, enough: float) -> list[tuple[int, int]]:
    """The best fit, then the best of the rows and columns left, and so on while it is enough."""
    rows, columns = np.nonzero((fits >= enough) & (fits > 0))
    order = np.argsort(-fits[rows, columns], kind="stable")
    pairs: list[tuple[int, int]] = []
    seen_rows: set[int] = set()
    seen_columns: set[int] = set()
    for row, column in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        if row not in seen_rows and column not in seen_columns:
            pairs.append((row, column))
            seen_rows.add(row)
            seen_columns.add(column)
    return pairs
