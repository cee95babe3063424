"""What is published: results and states as plain data, ready to be JSON.

Upstream: the loop's `Result`, camera states, health. Downstream: the bus. Pure, but for the message numbers.
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

from edged.capture.worker import CameraPhase
from edged.errors import CommandRejected
from edged.frame import F32, XY, FrameResult, Pose3d, TrackedSubject
from edged.messages import topics
from edged.messages.schema import CameraStatus, CommandError, Header, Poses, Status
from edged.messages.schema import Keypoints3d as Pose3dBody
from edged.messages.schema import Result as ResultBody
from edged.messages.schema import Subject as SubjectBody
from edged.messages.topics import Topic
from edged.units import ms

MESSAGE_VERSION: Literal[1] = 1  # of the message format; additions keep it, changes raise it

Body = dict[str, Any]
DeviceStatus = Literal["online", "offline", "stopped"]


class WallClock(Protocol):
    def utc_ms(self, monotonic_ns: int) -> int: ...
    @property
    def synced(self) -> bool: ...


class HeaderFactory:
    """The first fields of every message: v, ts, time_synced, seq. One per daemon; any thread."""

    def __init__(self, clock: WallClock) -> None:
        self._clock = clock
        self._numbers: dict[str, Iterator[int]] = {}

    def __call__(self, topic: Topic, at_ns: int | None = None) -> Header:
        """The stamp of the next message of this topic; `at_ns` is when its content was true, None: now."""
        number = next(self._numbers.setdefault(topic.path, count()))
        at_ns = monotonic_ns() if at_ns is None else at_ns
        return {"v": MESSAGE_VERSION, "ts": self.utc_ms(at_ns), "time_synced": self._clock.synced, "seq": number}

    def utc_ms(self, monotonic_ns: int) -> int:
        return self._clock.utc_ms(monotonic_ns)

    @property
    def synced(self) -> bool:
        return self._clock.synced


def device_status(headers: HeaderFactory, state: DeviceStatus) -> Status:
    """Whether the box is there. `offline` is the last will, sent by the broker: nobody knows when, so `ts` is null."""
    stamp = headers(topics.STATUS.at())
    return {**stamp, "ts": None if state == "offline" else stamp["ts"], "state": state}


def info(headers: HeaderFactory, body: Mapping[str, Any]) -> Body:
    """What this box is: versions, cameras, models."""
    return {**headers(topics.INFO.at()), **body}


def health(headers: HeaderFactory, body: Mapping[str, Any]) -> Body:
    """How this box is, as `edged.device.health` sees it."""
    return {**headers(topics.HEALTH.at()), **body}


def camera_status(
    headers: HeaderFactory, camera: str, *, state: CameraPhase, reason: str, since_ns: int
) -> CameraStatus:
    """Where a camera stands, why, and since when."""
    stamp = headers(topics.CAMERA_STATUS.at(camera=camera))
    return {**stamp, "camera": camera, "state": state, "reason": reason, "since": headers.utc_ms(since_ns)}


def poses(headers: HeaderFactory, result: FrameResult, *, smoothed: bool = False) -> Poses:
    """Everything seen in one frame, in pixels of the camera image. `seq` counts messages, `frame` captured frames."""
    width, height = result.size_wh
    clarity = result.quality
    body: Poses = {
        **headers(  # type: ignore[typeddict-item]  # mypy fears an optional field in the stamp
            topics.POSES.at(camera=result.camera), result.captured_ns
        ),
        "camera": result.camera,
        "frame": result.seq,
        "image": {"w": width, "h": height},
        "subjects": [_subject(subject, result.size_wh, smoothed=smoothed) for subject in result.subjects],
        "degraded": list(clarity.degraded),
        "quality": {
            "brightness": round(clarity.brightness, 1),
            "contrast": round(clarity.contrast, 1),
            "sharpness": round(clarity.sharpness, 4),
        },
        "latency_ms": round(ms(result.done_ns - result.captured_ns), 1),
    }
    if result.source is not None:
        body["source"] = result.source
    if result.position is not None:
        body["position"] = result.position
    return body


def result(
    headers: HeaderFactory,
    verb: str,
    command_id: str | None,
    data: Mapping[str, Any],
    rejection: CommandRejected | None = None,
) -> ResultBody:
    """What became of a command."""
    error: CommandError | None = None
    if rejection is not None:
        error = {"what": rejection.what, "got": rejection.got, "wanted": rejection.wanted, "do": rejection.do}
    return {
        **headers(topics.RESULT.at(verb=verb)),
        "verb": verb,
        "id": command_id,
        "ok": rejection is None,
        "error": error,
        "data": dict(data),
    }


def new_id() -> str:
    """What a subscriber tells repeated deliveries of one message by."""
    return uuid.uuid4().hex


def encode(message: Mapping[str, Any]) -> bytes:
    """Compact UTF-8 JSON. Raises ValueError for NaN and infinity: they are not JSON."""
    return json.dumps(message, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()


def _subject(subject: TrackedSubject, size_wh: tuple[int, int], *, smoothed: bool) -> SubjectBody:
    body: SubjectBody = {
        "id": subject.id,
        "class": subject.label,
        "score": round(float(subject.score), 3),
        "box": _box(subject.xyxy, size_wh),
        "keypoints": _keypoints(subject.keypoints),
        "schema": subject.schema,
        "carried": subject.carried,
    }
    if subject.bridged:
        body["bridged"] = True
    if smoothed:
        body["keypoints_smoothed"] = _keypoints(subject.smoothed)
    if subject.pose3d is not None:
        body["pose3d"] = _keypoints_3d(subject.pose3d)
    return body


def _keypoints_3d(pose: Pose3d) -> Pose3dBody:
    return {
        "joints": np.rint(pose.xyz_mm).astype(int).tolist(),
        "root": np.rint(pose.root_mm).astype(int).tolist(),
        "schema": pose.schema,
        "depth": pose.depth_source,
        "focal": pose.focal_source,
    }


def _box(xyxy: F32, size_wh: tuple[int, int]) -> list[float]:
    """Clamped to the image: consumers crop with it."""
    box: list[float] = _rounded(np.clip(xyxy, 0, (*size_wh, *size_wh)), 1)
    return box


def _keypoints(keypoints: F32 | None) -> list[list[float | None]]:
    """Rows of x, y, score; x and y are null where the model did not find the point. Empty without a pose model."""
    if keypoints is None:
        return []
    places: list[list[float | None]] = _rounded(keypoints[:, XY], 1)
    for row in np.flatnonzero(np.isnan(keypoints[:, XY]).any(axis=1)):
        places[row] = [None, None]
    return [[*place, score] for place, score in zip(places, _rounded(keypoints[:, 2], 3), strict=True)]


def _rounded(values: ArrayLike, digits: int) -> Any:
    """As Python numbers; in double precision, where 0.1 prints as 0.1, and without a negative zero."""
    return (np.round(np.asarray(values, np.float64), digits) + 0.0).tolist()
