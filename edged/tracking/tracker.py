"""Stable ids for one camera: which detection of this frame is which subject of the frames before.

Upstream: the backend's candidates. Downstream: ids for messages, and boxes for frames without detector. Only here are
detections associated, and subjects confirmed, kept and dropped. One `Tracker` per camera; compute thread only.
Source: confident detections are matched before low ones, as in ByteTrack (Zhang et al., ECCV 2022).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from edged.config.tables.camera import TrackConfig
from edged.frame import F32, I64, Boxes, BoxSource, Flags
from edged.tracking.matching import Detection, Match, assign, grown_iou, match_score
from edged.tracking.motion import BOX_STD, POSE_STD, BoxMotion
from edged.units import NS_PER_S, ns

# Tuned numbers. Source: `python -m tools.tracking` (scenes of known truth, seeds 0, 1 and 2) and tools/demo/stall.mp4.
# Twice of LOW_SCORE_IOU costs 0.09 of MOTA, half changes little: `python -m tools.sensitivity`.
LOW_SCORE_IOU = 0.5  # IoU with the predicted box that a detection below its class's threshold needs to continue it
DUPLICATE_IOU = 0.7  # IoU from which two detections of one frame are one subject, whatever their classes
MAX_VOTES = 10.0  # summed scores: most that the class of a track can lead by
TENTATIVE_MISSES = 2  # detector runs in a row without it that end an unconfirmed track
PRESENT_MISSES = 1  # detector runs in a row without it after which a track still counts as present
MAX_COAST_NS = ns(0.3)  # longest that a track counts as present with neither detection nor keypoints
RESET_AFTER_NS = ns(5)  # a longer gap begins a new scene

NO_ID = -1


@dataclass(slots=True, eq=False)
class Track:
    """One subject: where it is, and how surely it was detected."""

    motion: BoxMotion
    label: int  # the class that leads the vote
    votes: float  # by how much, in summed scores
    score: float  # of the last detection of its class
    last_ns: int  # of the last detection, or keypoints
    id: int = NO_ID  # until confirmed
    hits: int = 1  # confident detections
    low_run: int = 0  # detections below the threshold since the last confident one
    misses: int = 0  # detector runs in a row without it

    @property
    def is_confirmed(self) -> bool:
        return self.id != NO_ID

    @property
    def may_stay_low(self) -> bool:
        """Whether a detection below its threshold may continue it: a box on nothing lives on such ones alone."""
        return self.low_run < self.hits

    @staticmethod
    def from_detection(detection: Detection, t_ns: int) -> Track:
        """A tentative track."""
        motion, score = BoxMotion.at_rest(detection.xyxy), detection.score
        return Track(motion, detection.label, votes=score, score=score, last_ns=t_ns)

    def update(self, detection: Detection, t_ns: int) -> None:
        """Correct it with its detection in this frame."""
        self.motion.correct(detection.xyxy, BOX_STD)
        self._vote(detection)
        self.misses, self.last_ns = 0, t_ns
        self.low_run = 0 if detection.is_confident else self.low_run + 1
        self.hits += detection.is_confident
        if detection.label == self.label:
            self.score = detection.score

    def _vote(self, detection: Detection) -> None:
        """Weighted majority vote with one candidate. Source: Boyer & Moore, 1981."""
        self.votes += detection.score if detection.label == self.label else -detection.score
        if self.votes < 0:
            self.label = detection.label
        self.votes = min(abs(self.votes), MAX_VOTES)


class Tracker:
    """The subjects of one camera.

    `new_track_thresholds` is the score that starts a track: one number, or one per class. Detections below it only
    continue subjects that are present. Ids count on from `last_id` and are never used twice. Detections of the first
    update are confirmed at once: a single picture has subjects too.
    """

    needs_detector = True
    prediction_source: BoxSource = "tracked"

    def __init__(self, options: TrackConfig, new_track_thresholds: ArrayLike = 0.0, last_id: int = 0) -> None:
        self._options = options
        self._thresholds = np.asarray(new_track_thresholds, np.float32)  # as scores are
        self._max_age_ns = ns(options.max_age_s)
        self._tracks: list[Track] = []
        self._t_ns = 0  # time of the predictions
        self._last_frame_ns = 0
        self._is_first_update = True
        self.last_id = last_id

    def update(self, boxes: Boxes, t_ns: int, may_start: Flags | None = None) -> I64:
        """(N,) int64 track id of each candidate, -1 for those not shown; for frames with detector.

        `may_start` (N,) bool: which candidates may start a track, all if None. The others only continue one.
        """
        self._advance(t_ns)
        detections = self._detections(boxes)
        track_of = self._match(detections)
        self._correct(detections, track_of)
        self._start_tracks(detections, np.ones(len(boxes), bool) if may_start is None else may_start, out=track_of)
        self._confirm()
        ids = [NO_ID if row < 0 else self._tracks[row].id for row in track_of]
        self._tracks = [track for track in self._tracks if not self._is_expired(track)]
        self._is_first_update = False
        return np.array(ids, np.int64)

    def predict(self, t_ns: int) -> tuple[I64, Boxes]:
        """(N,) int64 ids and N boxes, expected at `t_ns`, of the subjects present; best score first.

        Present: confirmed, missed by at most one detector run, and detected or posed in the last frame or within
        `MAX_COAST_NS`.
        """
        self._advance(t_ns)
        present = sorted((track for track in self._tracks if self._is_present(track)), key=lambda track: -track.score)
        boxes = Boxes(
            xyxy=np.array([track.motion.xyxy for track in present], np.float32).reshape(-1, 4),
            score=np.array([track.score for track in present], np.float32),
            label=np.array([track.label for track in present], np.int64),
        )
        return np.array([track.id for track in present], np.int64), boxes

    def update_from_keypoints(self, ids: I64, boxes: Boxes, t_ns: int) -> None:
        """Correct predicted tracks, by ids (N,), with boxes around their keypoints; for frames without detector."""
        self._advance(t_ns)
        self._last_frame_ns = t_ns
        tracks = {track.id: track for track in self._tracks}
        for track_id, xyxy in zip(ids.tolist(), boxes.xyxy.tolist(), strict=True):
            tracks[track_id].last_ns = t_ns
            tracks[track_id].motion.correct(xyxy, POSE_STD)

    def hold(self, t_ns: int) -> None:
        """The subjects present are where they were, up to `t_ns`; for frames in which nothing moved."""
        for track in [track for track in self._tracks if self._is_present(track)]:
            track.last_ns = t_ns
            track.motion.stop()
        self._t_ns = self._last_frame_ns = t_ns

    def reset(self) -> None:
        """Drop all tracks, as after a cut; ids count on."""
        self._tracks = []
        self._is_first_update = True

    def labels(self, ids: I64) -> I64:
        """(N,) int64 class of each live id by majority; single detections may differ."""
        label_of = {track.id: track.label for track in self._tracks}
        return np.array([label_of[track_id] for track_id in ids.tolist()], np.int64)

    def scores(self, ids: I64) -> F32:
        """(N,) float32 score of each live id: of its last detection of its own class."""
        score_of = {track.id: track.score for track in self._tracks}
        return np.array([score_of[track_id] for track_id in ids.tolist()], np.float32)

    def _advance(self, t_ns: int) -> None:
        """Predict the tracks at `t_ns` and drop those older than the gap. A clock set back ages no track."""
        limit_ns = max(self._max_age_ns, RESET_AFTER_NS)
        dt_s = max(0, t_ns - self._t_ns) / NS_PER_S
        self._t_ns = t_ns
        self._tracks = [track for track in self._tracks if t_ns - track.last_ns <= limit_ns]
        for track in self._tracks:
            track.last_ns = min(track.last_ns, t_ns)
            track.motion.predict(dt_s)

    def _detections(self, boxes: Boxes) -> list[Detection]:
        confident = boxes.score >= (self._thresholds[boxes.label] if self._thresholds.ndim else self._thresholds)
        rows = zip(boxes.xyxy.tolist(), boxes.score.tolist(), boxes.label.tolist(), confident.tolist(), strict=True)
        return [Detection(tuple(xyxy), score, label, is_confident) for xyxy, score, label, is_confident in rows]

    def _match(self, detections: list[Detection]) -> list[int]:
        """The row of the track that each detection continues, -1 without.

        In turn: confident detections of confirmed tracks, low ones of present subjects, confident ones of tentative
        tracks. A low detection must be of the same class and overlap the predicted box itself, without its gate;
        and no more of them may follow one another than the track had confident ones.
        """
        confirmed: list[Match] = []
        low: list[Match] = []
        tentative: list[Match] = []
        for row, track in enumerate(self._tracks):
            box, gate_px, is_present = track.motion.xyxy, track.motion.gate_px, self._is_present(track)
            for i, detection in enumerate(detections):
                same_class = detection.label == track.label
                if detection.is_confident:
                    score = match_score(box, gate_px, detection.xyxy, same_class=same_class)
                    if score > 0:
                        (confirmed if track.is_confirmed else tentative).append(Match(score, row, i))
                elif is_present and same_class and track.may_stay_low:
                    low.append(Match(grown_iou(box, detection.xyxy), row, i))
        track_of = [-1] * len(detections)
        assign(confirmed, self._options.min_iou, out=track_of)
        assign(low, max(self._options.min_iou, LOW_SCORE_IOU), out=track_of)
        assign(tentative, self._options.min_iou, out=track_of)
        return track_of

    def _correct(self, detections: list[Detection], track_of: list[int]) -> None:
        """Update the matched tracks with their detections, and count a miss for the others."""
        self._last_frame_ns = self._t_ns
        for track in self._tracks:
            track.misses += 1
        for row, detection in zip(track_of, detections, strict=True):
            if row >= 0:
                self._tracks[row].update(detection, self._t_ns)

    def _start_tracks(self, detections: list[Detection], may_start: Flags, out: list[int]) -> None:
        """Start tracks for unmatched confident detections that may, unless one doubles another with a track.

        Rows go into `out`.
        """
        for i, detection in enumerate(detections):
            if out[i] >= 0 or not detection.is_confident or not may_start[i]:
                continue
            others = (other for row, other in zip(out, detections, strict=True) if row >= 0)
            if any(grown_iou(detection.xyxy, other.xyxy) >= DUPLICATE_IOU for other in others):
                continue
            out[i] = len(self._tracks)
            self._tracks.append(Track.from_detection(detection, self._t_ns))

    def _confirm(self) -> None:
        needed = 1 if self._is_first_update else self._options.min_hits
        for track in self._tracks:
            if not track.is_confirmed and track.hits >= needed:
                self.last_id += 1
                track.id = self.last_id

    def _is_present(self, track: Track) -> bool:
        recent = track.last_ns == self._last_frame_ns or self._t_ns - track.last_ns <= MAX_COAST_NS
        return track.is_confirmed and track.misses <= PRESENT_MISSES and recent

    def _is_expired(self, track: Track) -> bool:
        if track.misses == 0:
            return False
        if not track.is_confirmed and track.misses >= TENTATIVE_MISSES:
            return True
        return self._t_ns - track.last_ns > self._max_age_ns
