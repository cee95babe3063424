"""Stable ids: which box of this frame is which subject of the frames before.

Upstream: the detector's boxes. Downstream: ids for messages, and boxes for frames without detector.
One `Tracks` per camera, used by the compute thread alone. Sure detections are matched before faint ones
(ByteTrack, Zhang et al., ECCV 2022), by overlap with boxes moved by a Kalman filter in real time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from edged.config.tables.camera import TrackConfig
from edged.frame import F32, I64, SCORE, Boxes, Flags
from edged.inference.select import MISSED, hints
from edged.units import NS_PER_S, ns

# Motion, in sizes (square root of the box area) and seconds; chosen with `python -m tools.tracking`.
INITIAL_SPEED_STD = 1.5  # spread of the speed of a subject just met, sizes/s
ACCEL_PSD = 6.0  # growth of the speed's variance, sizes²/s³
VELOCITY_DECAY_S = 1.0  # a subject keeps its velocity for about this long
BOX_STD = 0.08  # spread of a detected box's centre, sizes
POSE_STD = 0.12  # spread of a centre taken from keypoints, sizes
MAX_GATE = 0.75  # most a box is grown by doubt before matching, sizes per side

OTHER_CLASS_PENALTY = 0.3  # overlap that a detection of another class must show in addition
LOW_SCORE_IOU = 0.4  # least overlap of a detection too faint to start a track
DUPLICATE_IOU = 0.7  # overlap of two detections that are one subject, whatever their classes
MAX_VOTES = 10.0  # most the class of a track can be ahead, in summed scores
TENTATIVE_MISSES = 2  # detector runs in a row that end an unconfirmed track
MAX_COAST_NS = ns(0.3)  # longest that a box is carried with neither detector nor keypoints to show for it
HINT_OVERLAP = 0.25  # least overlap of a detection that is no more than a hint
HINT_NOISE = 0.12  # spread of its box's centre, sizes
HABIT_S = 4.0  # how far back it counts how often a subject was seen
OFTEN = 0.15  # share of the detector runs lately that saw it which a track needs to be shown by a hint
RESET_AFTER_NS = ns(5)  # nobody looked for so long that the scene is new


Match = tuple[float, "Track", int]  # how well the i-th detection fits the track


@dataclass(frozen=True, slots=True)
class Detection:
    """One detection, as plain numbers: at a handful of subjects they are far quicker than arrays."""

    xyxy: tuple[float, float, float, float]  # px
    score: float
    label: int
    is_confident: bool  # enough to start a track
    hint: bool  # too faint to be seen


@dataclass(slots=True, eq=False)
class Track:
    """One track: where a subject is, how it moves, and how well that is known."""

    label: int  # the class ahead in the vote
    votes: float  # by how much, in summed scores
    score: float  # of the last detection
    detected_ns: int
    x: float  # centre, px
    y: float
    w: float
    h: float
    vx: float = 0.0  # px/s
    vy: float = 0.0
    position_var: float = BOX_STD**2  # of each axis, sizes²
    position_speed_cov: float = 0.0
    speed_var: float = INITIAL_SPEED_STD**2
    id: int = 0  # until confirmed
    shown_ns: int = 0  # when it was last seen, or shown by a hint
    hits: int = 1
    often: float = 0.0  # share of the detector runs lately that saw it
    misses: int = 0  # detector runs without it, in a row

    @staticmethod
    def from_detection(detection: Detection, t_ns: int) -> Track:
        x0, y0, x1, y1 = detection.xyxy
        return Track(
            detection.label, detection.score, detection.score, t_ns, (x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0
        )

    @property
    def xyxy(self) -> tuple[float, float, float, float]:
        return self.x - self.w / 2, self.y - self.h / 2, self.x + self.w / 2, self.y + self.h / 2

    @property
    def position_std_px(self) -> float:
        """How far it may be from where it is expected."""
        return min(math.sqrt(self.position_var), MAX_GATE) * math.sqrt(max(self.w * self.h, 1.0))

    def predict(self, dt_s: float) -> None:
        """Speed fades, doubt grows (white-noise acceleration)."""
        faded = math.exp(-dt_s / VELOCITY_DECAY_S)
        self.x += self.vx * VELOCITY_DECAY_S * (1 - faded)
        self.y += self.vy * VELOCITY_DECAY_S * (1 - faded)
        self.vx *= faded
        self.vy *= faded
        self.position_var += 2 * self.position_speed_cov * dt_s + self.speed_var * dt_s**2 + ACCEL_PSD * dt_s**3 / 3
        self.position_speed_cov += self.speed_var * dt_s + ACCEL_PSD * dt_s**2 / 2
        self.speed_var += ACCEL_PSD * dt_s

    def correct(self, xyxy: Iterable[float], std: float) -> None:
        """Kalman correction; x, y, width and height share one gain."""
        x0, y0, x1, y1 = xyxy
        gain, speed_gain = (var / (self.position_var + std**2) for var in (self.position_var, self.position_speed_cov))
        off_x, off_y = (x0 + x1) / 2 - self.x, (y0 + y1) / 2 - self.y
        self.x += gain * off_x
        self.y += gain * off_y
        self.vx += speed_gain * off_x
        self.vy += speed_gain * off_y
        self.w += gain * (x1 - x0 - self.w)
        self.h += gain * (y1 - y0 - self.h)
        self.speed_var -= speed_gain * self.position_speed_cov
        self.position_var *= 1 - gain
        self.position_speed_cov *= 1 - gain

    def update(self, detection: Detection, t_ns: int) -> None:
        """Take its detection in."""
        self.correct(detection.xyxy, BOX_STD)
        self._vote(detection)
        self.hits, self.misses, self.detected_ns, self.score = self.hits + 1, 0, t_ns, detection.score

    def matches(self, detections: list[Detection]) -> Iterator[Match]:
        """The detections that may be it, and how well: overlap, both grown by the doubt, less for another class."""
        xyxy, doubt_px = self.xyxy, self.position_std_px
        for i, one in enumerate(detections):
            shared = grown_iou(xyxy, one.xyxy, doubt_px)
            if shared > 0 and (fit := shared - (OTHER_CLASS_PENALTY if one.label != self.label else 0.0)) > 0:
                yield fit, self, i

    def _vote(self, detection: Detection) -> None:
        """Weighted majority with one candidate (Boyer & Moore)."""
        votes = self.votes + (detection.score if detection.label == self.label else -detection.score)
        if votes < 0:
            self.label = detection.label
        self.votes = min(abs(votes), MAX_VOTES)


class Tracker:
    """The subjects of one camera.

    `starts` is the score a detection needs to start a track: one number, or one per class. Fainter ones
    only continue tracks. Ids count on from `given` and are never used twice. Detections of the very first update are
    confirmed at once: a single picture has subjects too.
    """

    def __init__(self, options: TrackConfig, new_track_thresholds: ArrayLike = 0.0, last_id: int = 0) -> None:
        self._options = options
        self._new_track_thresholds = np.asarray(new_track_thresholds, np.float32)  # as scores are
        self._max_age_ns = ns(options.patience_s)
        self._bridge_ns = ns(options.bridge_s)
        self._tracks: list[Track] = []
        self._t_ns = 0  # what the tracks were moved to
        self._last_frame_ns = 0  # the last frame that was looked at
        self._last_detector_ns = 0  # the last with a detector run
        self.last_id = last_id  # the last id
        self._is_first_update = True

    def update(self, boxes: Boxes, t_ns: int) -> I64:
        """Match a detector run; return (N,) the track id of each box, -1 for those not (yet) subjects."""
        self._advance(t_ns)
        seen = self._detections(boxes)
        trails, hinted = self._match(seen)
        habit = math.exp(-max(0, t_ns - self._last_detector_ns) / NS_PER_S / HABIT_S)
        self._last_frame_ns = self._last_detector_ns = t_ns
        for trail in self._tracks:
            trail.misses += 1
            trail.often *= habit
        for i, (found, one) in enumerate(zip(trails, seen, strict=True)):
            if found is not None and i in hinted:
                found.correct(one.xyxy, HINT_NOISE)
                found.shown_ns = t_ns
            elif found is not None:
                found.update(one, t_ns)
                found.often += 1 - habit
        self._start_tracks(trails, seen)
        self._confirm()
        self._is_first_update = False
        self._tracks = [trail for trail in self._tracks if not self._is_expired(trail)]
        return np.array([trail.id or -1 if trail else -1 for trail in trails], np.int64)

    def predict(self, t_ns: int) -> tuple[I64, Boxes]:
        """Ids and expected boxes at `t_ns`, best first, of the subjects present; for frames without detector.

        Present: confirmed, missed by at most one detector run, and seen in the last frame or a moment ago.
        """
        self._advance(t_ns)
        return _predicted([trail for trail in self._tracks if self._is_present(trail)], [])

    def predict_for_match(self, t_ns: int) -> tuple[I64, Boxes]:
        """The same for frames with detector; after them, with the score `MISSED`, those whom only a hint may show."""
        self._advance(t_ns)
        present = [trail for trail in self._tracks if self._is_present(trail)]
        return _predicted(present, [one for one in self._tracks if self._bridgeable(one) and one not in present])

    def update_from_keypoints(self, ids: I64, boxes: Boxes, t_ns: int) -> None:
        """After a carried frame: these of the ids carried are still there, in these boxes."""
        self._advance(t_ns)
        self._last_frame_ns = t_ns
        trails = {trail.id: trail for trail in self._tracks}
        for track, xyxy in zip(ids.tolist(), boxes.xyxy.tolist(), strict=True):
            trails[track].detected_ns = t_ns
            trails[track].correct(xyxy, POSE_STD)

    def reset(self) -> None:
        """The scene is a new one: forget everybody, keep counting."""
        self._tracks = []
        self._is_first_update = True

    def labels(self, ids: I64) -> I64:
        """The classes of live ids by majority; the detector may name another in single frames."""
        known = {trail.id: trail.label for trail in self._tracks}
        return np.array([known[track] for track in ids.tolist()], np.int64)

    def bridged(self, ids: I64) -> Flags:
        """(N,) which of the live ids the last frame showed by no more than a hint."""
        hinted = {trail.id for trail in self._tracks if trail.shown_ns == self._last_frame_ns != trail.detected_ns}
        return np.array([track in hinted for track in ids.tolist()], bool)

    def _detections(self, boxes: Boxes) -> list[Detection]:
        starts = np.broadcast_to(
            self._new_track_thresholds, self._new_track_thresholds.shape or (int(boxes.label.max(initial=0)) + 1,)
        )
        sure = boxes.score >= starts[boxes.label]
        hint = hints(boxes, starts) if self._bridge_ns else np.zeros(len(boxes), bool)
        rows = (boxes.xyxy.tolist(), boxes.score.tolist(), boxes.label.tolist(), sure.tolist(), hint.tolist())
        return [Detection(tuple(xyxy), *rest) for xyxy, *rest in zip(*rows, strict=True)]

    def _advance(self, t_ns: int) -> None:
        """Move the tracks to `t_ns`, forgetting those unseen through an outage. A clock set back ages nobody."""
        limit_ns = max(self._max_age_ns, RESET_AFTER_NS)
        dt_s = max(0, t_ns - self._t_ns) / NS_PER_S
        self._t_ns = t_ns
        self._tracks = [trail for trail in self._tracks if t_ns - trail.detected_ns <= limit_ns]
        for trail in self._tracks:
            trail.detected_ns = min(trail.detected_ns, t_ns)
            trail.predict(dt_s)

    def _is_recent(self, trail: Track) -> bool:
        return trail.detected_ns == self._last_frame_ns or self._t_ns - trail.detected_ns <= MAX_COAST_NS

    def _is_present(self, trail: Track) -> bool:
        return trail.id > 0 and trail.misses <= 1 and self._is_recent(trail)

    def _bridgeable(self, trail: Track) -> bool:
        return trail.id > 0 and trail.often >= OFTEN and self._t_ns - trail.detected_ns <= self._bridge_ns

    def _match(self, seen: list[Detection]) -> tuple[list[Track | None], set[int]]:
        """The track that each detection continues, and which of them only hint at it."""
        fits = sorted((fit for trail in self._tracks for fit in trail.matches(seen)), key=lambda fit: -fit[0])
        least, faint = self._options.iou, max(self._options.iou, LOW_SCORE_IOU)
        chosen: dict[int, Track] = {}
        _assign(fits, chosen, lambda fit, trail, i: fit >= least and trail.id > 0 and seen[i].is_confident)
        _assign(fits, chosen, lambda fit, trail, i: fit >= faint and self._shown_by(trail, seen[i]))
        _assign(fits, chosen, lambda fit, trail, i: fit >= least and not trail.id and seen[i].is_confident)
        shown = set(chosen)
        _assign(
            fits,
            chosen,
            lambda fit, trail, i: fit >= HINT_OVERLAP and not seen[i].is_confident and self._bridgeable(trail),
        )
        return [chosen.get(i) for i in range(len(seen))], set(chosen) - shown

    def _shown_by(self, trail: Track, faint: Detection) -> bool:
        """Whether a faint detection is enough; of who was missed of late it is a hint, where those count."""
        return (
            trail.id > 0 and not (faint.is_confident or faint.hint) and (not self._bridge_ns or self._is_present(trail))
        )

    def _start_tracks(self, trails: list[Track | None], seen: list[Detection]) -> None:
        """Start tracks for sure detections without one, unless they double another that has one."""
        for i, one in enumerate(seen):
            if trails[i] is None and one.is_confident and not self._is_duplicate(one, trails, seen):
                trails[i] = trail = Track.from_detection(one, self._t_ns)
                self._tracks.append(trail)

    def _is_duplicate(self, one: Detection, trails: list[Track | None], seen: list[Detection]) -> bool:
        others = (other for trail, other in zip(trails, seen, strict=True) if trail is not None)
        return any(grown_iou(one.xyxy, other.xyxy) >= DUPLICATE_IOU for other in others)

    def _confirm(self) -> None:
        needed = 1 if self._is_first_update else self._options.confirm
        for trail in self._tracks:
            if not trail.id and trail.hits >= needed:
                self.last_id += 1
                trail.id = self.last_id

    def _is_expired(self, trail: Track) -> bool:
        lost = trail.misses > 0 and self._t_ns - max(trail.detected_ns, trail.shown_ns) > self._max_age_ns
        return lost or (not trail.id and trail.misses >= TENTATIVE_MISSES)


def _predicted(present: list[Track], missed: list[Track]) -> tuple[I64, Boxes]:
    """Ids and boxes, best first."""
    present = sorted(present, key=lambda trail: -trail.score)
    trails = [*present, *missed]
    boxes = Boxes(
        xyxy=np.array([trail.xyxy for trail in trails], np.float32).reshape(-1, 4),
        score=np.array([trail.score for trail in present] + [MISSED] * len(missed), np.float32),
        label=np.array([trail.label for trail in trails], np.int64),
    )
    return np.array([trail.id for trail in trails], np.int64), boxes


def box_from_keypoints(keypoints: F32, min_score: float, box: F32) -> F32 | None:
    """The box moved as little as holds every keypoint of at least `min_score`; larger only if it must be.

    A box that loses sight of the legs so neither shrinks nor climbs. None when fewer than a quarter of
    the keypoints (or than three) are that sure: nobody knows then where the subject is.
    """
    sure = keypoints[keypoints[:, SCORE] >= min_score, :2]
    sure = sure[np.isfinite(sure).all(axis=1)]
    if len(sure) < max(3, len(keypoints) / 4):
        return None
    low, high = sure.min(axis=0), sure.max(axis=0)
    wh = np.maximum(box[2:] - box[:2], high - low)
    corner = np.clip((box[:2] + box[2:] - wh) / 2, high - wh, low)
    return np.concatenate([corner, corner + wh]).astype(np.float32)


def _assign(fits: list[Match], chosen: dict[int, Track], allowed: Callable[[float, Track, int], bool]) -> None:
    """The best allowed fit, then the best of the tracks and detections left, and so on."""
    taken = {id(trail) for trail in chosen.values()}
    for fit, trail, i in fits:
        if i not in chosen and id(trail) not in taken and allowed(fit, trail, i):
            chosen[i] = trail
            taken.add(id(trail))


def grown_iou(a: tuple[float, ...], b: tuple[float, ...], grow_px: float = 0.0) -> float:
    """Intersection over union of two x0 y0 x1 y1, both grown by so much on every side. Empty boxes: 0."""
    grow = 2 * grow_px
    wide = min(a[2], b[2]) - max(a[0], b[0]) + grow
    if wide <= 0:
        return 0.0
    high = min(a[3], b[3]) - max(a[1], b[1]) + grow
    if high <= 0:
        return 0.0
    shared = wide * high
    area_a = (a[2] - a[0] + grow) * (a[3] - a[1] + grow)
    area_b = (b[2] - b[0] + grow) * (b[3] - b[1] + grow)
    return shared / max(area_a + area_b - shared, 1e-9)
