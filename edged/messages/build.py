"""Builds the messages of cameras and of the device: plain data, ready to be JSON.

Upstream: the loop's results, camera states, health. Downstream: the bus. Pure, but for the message numbers.
`behaviour.messages` builds the others.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from itertools import count
from time import monotonic_ns
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike

from edged.errors import CommandRejected
from edged.frame import F32, XY, FrameResult, Pose3d, TrackedSubject
from edged.messages import schema, topics
from edged.messages.commands import COMMANDS
from edged.messages.schema import MESSAGE_VERSION, CameraPhase
from edged.messages.topics import Topic
from edged.units import MM_PER_M, ms

Body = dict[str, Any]
DeviceStatus = Literal["online", "offline", "stopped"]


class WallClock(Protocol):
    def utc_ms(self, monotonic_ns: int) -> int: ...
    @property
    def synced(self) -> bool: ...


class HeaderFactory:
    """The first fields of every message: v, ts, time_synced, seq. One per daemon. Thread: any."""

    def __init__(self, clock: WallClock) -> None:
        self._clock = clock
        self._numbers: dict[str, Iterator[int]] = {}

    def __call__(self, topic: Topic, at_ns: int | None = None) -> schema.Header:
        """The header of the next message of a topic; `at_ns`: CLOCK_MONOTONIC of the content, None: now."""
        number = next(self._numbers.setdefault(topic.path, count()))
        at_ns = monotonic_ns() if at_ns is None else at_ns
        return {"v": MESSAGE_VERSION, "ts": self.utc_ms(at_ns), "time_synced": self._clock.synced, "seq": number}

    def utc_ms(self, monotonic_ns: int) -> int:
        return self._clock.utc_ms(monotonic_ns)

    @property
    def synced(self) -> bool:
        return self._clock.synced


def device_status(headers: HeaderFactory, state: DeviceStatus) -> schema.Status:
    """The `status` message. `offline` is the last will: the broker sends it later, so its `ts` is null."""
    header = headers(topics.STATUS.at())
    return {**header, "ts": None if state == "offline" else header["ts"], "state": state}


def info(headers: HeaderFactory, body: Mapping[str, Any]) -> Body:
    """The `info` message; `body` as `edged.device.info` makes it."""
    return {**headers(topics.INFO.at()), **body}


def health(headers: HeaderFactory, body: Mapping[str, Any]) -> Body:
    """The `health` message; `body` as `edged.device.health` makes it."""
    return {**headers(topics.HEALTH.at()), **body}


def switches(headers: HeaderFactory, body: Mapping[str, Any]) -> Body:
    """The `switches` message; `body` as `edged.control.switches` makes it."""
    return {**headers(topics.SWITCHES.at()), **body}


def reported(headers: HeaderFactory, body: Mapping[str, Any]) -> Body:
    """The `reported` message; `body` as `edged.control.fleet` makes it."""
    return {**headers(topics.REPORTED.at()), **body}


def camera_status(
    headers: HeaderFactory,
    camera: str,
    *,
    state: CameraPhase,
    reason: str,
    since_ns: int,
    size_wh: tuple[int, int] | None = None,
) -> schema.CameraStatus:
    """The `status` message of a camera; `since_ns`: CLOCK_MONOTONIC."""
    return {
        **headers(topics.CAMERA_STATUS.at(camera=camera)),
        "camera": camera,
        "state": state,
        "reason": reason,
        "since_ts": headers.utc_ms(since_ns),
        "image": None if size_wh is None else {"w": size_wh[0], "h": size_wh[1]},
    }


def poses(headers: HeaderFactory, result: FrameResult, *, smoothed: bool = False) -> schema.Poses:
    """The `poses` message of one frame, in pixels of the camera image; `smoothed` adds the filtered keypoints."""
    width, height = result.size_wh
    quality = result.quality
    body: schema.Poses = {
        **headers(  # type: ignore[typeddict-item]  # mypy allows for optional fields in the header
            topics.POSES.at(camera=result.camera), result.captured_ns
        ),
        "camera": result.camera,
        "frame": result.seq,
        "image": {"w": width, "h": height},
        "subjects": [_subject(subject, result.size_wh, smoothed=smoothed) for subject in result.subjects],
        "degraded": list(quality.degraded),
        "quality": {
            "brightness": round(quality.brightness, 1),
            "contrast": round(quality.contrast, 1),
            "sharpness": round(quality.sharpness, 4),
        },
        "latency_ms": round(ms(result.done_ns - result.captured_ns), 1),
    }
    if result.source is not None:
        body["source"] = result.source
    if result.position is not None:
        body["position"] = result.position
    if result.source_ns is not None:
        body["source_ms"] = round(ms(result.source_ns), 1)
    if result.recorded_utc_ms is not None:
        body["ts"] = result.recorded_utc_ms
    return body


def result(
    headers: HeaderFactory,
    verb: str,
    command_id: str | None,
    data: Mapping[str, Any],
    rejection: CommandRejected | None = None,
) -> schema.Result:
    """The answer to a command: its `data`, or why it was rejected."""
    error: schema.CommandError | None = None
    if rejection is not None:
        error = {"what": rejection.what, "got": rejection.got, "wanted": rejection.wanted, "do": rejection.do}
    return {
        **headers(topics.RESULT.at(command=verb if verb in COMMANDS else "unknown")),  # numbers of known topics alone
        "command": verb,
        "id": command_id,
        "ok": rejection is None,
        "error": error,
        "data": dict(data),
    }


def new_id() -> str:
    """A random id of a message; a repeated delivery of the message keeps it."""
    return uuid.uuid4().hex


def encode(message: Mapping[str, Any]) -> bytes:
    """Compact UTF-8 JSON. Raises ValueError for NaN and infinity: they are not JSON."""
    return json.dumps(message, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()


def _subject(subject: TrackedSubject, size_wh: tuple[int, int], *, smoothed: bool) -> schema.Subject:
    score = round(float(subject.score), 3)
    body: schema.Subject = {
        "id": subject.id,
        "class": subject.label,
        "score": score,
        "detection_score": None if subject.detection_score is None else round(subject.detection_score, 3),
        "box": _box(subject.xyxy, size_wh),
        "box_source": subject.box_source,
        "keypoints": _keypoints(subject.keypoints),
        "schema": subject.schema,
    }
    if smoothed:
        body["keypoints_smoothed"] = _keypoints(subject.smoothed)
    if subject.pose3d is not None:
        body["keypoints_3d"] = _keypoints_3d(subject.pose3d, subject.smoothed3d, smoothed=smoothed)
    return body


def _keypoints_3d(pose: Pose3d, steady: Pose3d | None, *, smoothed: bool) -> schema.Keypoints3d:
    body: schema.Keypoints3d = {
        "xyz_mm": _whole(pose.xyz_mm),
        "root_mm": _whole(pose.root_mm),
        "schema": pose.schema,
        "depth_source": pose.depth_source,
        "focal_source": pose.focal_source,
    }
    if smoothed and steady is not None:
        body["xyz_smoothed_mm"], body["root_smoothed_mm"] = _whole(steady.xyz_mm), _whole(steady.root_mm)
    if pose.focal_source == "given":
        known = steady or pose
        distance_m, error = known.distance_mm / MM_PER_M, pose.depth_error
        body["distance_m"] = round(distance_m, 2)
        body["distance_error_m"] = None if error is None else round(error * distance_m, 2)
        right, _, ahead = known.upright_mm[0] / MM_PER_M
        body["position_m"] = _rounded([right, ahead], 2)
    return body


def _whole(points_mm: F32) -> Any:
    """Whole numbers, as Python has them."""
    return np.rint(points_mm).astype(int).tolist()


def _box(xyxy: F32, size_wh: tuple[int, int]) -> list[float]:
    """The box clamped to the image: consumers crop with it."""
    box: list[float] = _rounded(np.clip(xyxy, 0, (*size_wh, *size_wh)), 1)
    return box


def _keypoints(keypoints: F32 | None) -> list[list[float | None]]:
    """Rows of x, y, score.

    keypoints  (K, 3) float32, px and score; x, y NaN: not found, then null. None: no pose model, then empty.
    """
    if keypoints is None:
        return []
    places: list[list[float | None]] = _rounded(keypoints[:, XY], 1)
    for row in np.flatnonzero(np.isnan(keypoints[:, XY]).any(axis=1)):
        places[row] = [None, None]
    return [[*place, score] for place, score in zip(places, _rounded(keypoints[:, 2], 3), strict=True)]


def _rounded(values: ArrayLike, digits: int) -> Any:
    """Python numbers; in double precision, where 0.1 prints as 0.1, and without a negative zero."""
    return (np.round(np.asarray(values, np.float64), digits) + 0.0).tolist()
