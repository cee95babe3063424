"""Results of frames as the pipeline gives them to the publisher, and the header of their messages."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from edged.frame import F32, FrameResult, ImageQuality, TrackedSubject
from edged.messages.build import HeaderFactory
from tests.support.clock import MS, SyncedClock


def points(*rows: tuple[float, float, float]) -> F32:
    return np.array(rows, np.float32)


def subject(**changes: Any) -> TrackedSubject:
    plain = TrackedSubject(
        id=7,
        label="horse",
        score=0.87654,
        xyxy=np.array([-3, 4.06, 120, 49.94], np.float32),
        keypoints=points((1.04, 2.06, 0.9128), (-5.5, 60, 1.2)),
        smoothed=points((1, 2, 0.9128), (-5, 60, 1.2)),
        schema="ap10k-17",
        box_source="detected",
        detection_score=0.87654,
    )
    return replace(plain, **changes)


def result(*subjects: TrackedSubject, **changes: Any) -> FrameResult:
    plain = FrameResult(
        camera="barn",
        seq=41,
        captured_ns=500 * MS,
        done_ns=523 * MS + 44_000,
        size_wh=(100, 50),
        subjects=subjects,
        quality=ImageQuality(brightness=100.04, contrast=50.06, sharpness=0.123456),
        stage_ns={},
    )
    return replace(plain, **changes)


HEADERS = HeaderFactory(SyncedClock())

# Messages as `edged watch` gets them, short.
POSES = {
    "frame": 4,
    "subjects": [
        {"id": 1, "class": "person", "score": 0.5, "detection_score": 0.5, "box": [0, 1, 2, 3],
         "box_source": "detected", "schema": "lsp-14",
         "keypoints": [[1, 2, 0.5], [3, 4, 0.9], [None, None, 0.0]]},
    ],
}  # fmt: skip
STALL = {"posture": "lateral", "head_height": "unknown", "behaviours": ["roll"], "zone": None, "horse_count": 1,
         "person_present": False, "foal_posture": None}  # fmt: skip
ALERT = {"alert_id": "1", "event_type": "cast", "stage": "open", "severity": "critical", "since_ts": 1, "reason": ""}
STATE = {"view": "ok", "counts": {"horse": 1}, "stall": STALL, "alerts": [ALERT]}
