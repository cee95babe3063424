"""Poses as CBOR in whole numbers: the same message in about half the bytes. cbor2 is loaded when first needed.

Packed are a subject's `score`, `box` and keypoints; all else is as in JSON. `packed` says by what to divide:
px for x and y, score for scores. Keypoints are one flat list x, y, score, x, y, score, …; null stays null.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from itertools import chain
from typing import Any

from edged.errors import ConfigError

PX_SCALE, SCORE_SCALE = 10, 1000
KEYPOINT_SCALES = (PX_SCALE, PX_SCALE, SCORE_SCALE)
KEYPOINT_FIELDS = ("keypoints", "keypoints_smoothed")


def require_cbor2() -> None:
    """Raises ConfigError where cbor2 is not installed."""
    try:
        import_module("cbor2")
    except ImportError as exc:
        raise ConfigError("publish.encoding = 'cbor': cbor2 is not installed; pip install 'edged[cbor]'") from exc


def pack(poses: Mapping[str, Any]) -> bytes:
    """A `poses` body as CBOR."""
    subjects = [_pack_subject(subject) for subject in poses["subjects"]]
    body: bytes = import_module("cbor2").dumps(
        {**poses, "packed": {"px": PX_SCALE, "score": SCORE_SCALE}, "subjects": subjects}
    )
    return body


def unpack(payload: bytes) -> dict[str, Any]:
    """The body as it would have been in JSON. Raises ValueError for what is no packed message."""
    cbor2 = import_module("cbor2")
    try:
        body = cbor2.loads(payload)
        by = body.pop("packed")
        subjects = [_unpack_subject(subject, by["px"], by["score"]) for subject in body["subjects"]]
    except (cbor2.CBORDecodeError, AttributeError, KeyError, TypeError) as exc:
        raise ValueError(f"no packed poses: {exc!r}") from exc
    return {**body, "subjects": subjects}


def _pack_subject(subject: Mapping[str, Any]) -> dict[str, Any]:
    points = {key: _flat(subject[key]) for key in KEYPOINT_FIELDS if key in subject}
    box = [round(value * PX_SCALE) for value in subject["box"]]
    return {**subject, **points, "box": box, "score": round(subject["score"] * SCORE_SCALE)}


def _flat(keypoints: Iterable[Iterable[float | None]]) -> list[int | None]:
    pairs = chain.from_iterable(zip(point, KEYPOINT_SCALES, strict=True) for point in keypoints)
    return [None if value is None else round(value * scale) for value, scale in pairs]


def _unpack_subject(subject: Mapping[str, Any], px: int, score: int) -> dict[str, Any]:
    points = {key: _rows(subject[key], (px, px, score)) for key in KEYPOINT_FIELDS if key in subject}
    return {**subject, **points, "box": [value / px for value in subject["box"]], "score": subject["score"] / score}


def _rows(flat: list[int | None], scales: tuple[int, ...]) -> list[list[float | None]]:
    width = len(scales)
    rows = (flat[at : at + width] for at in range(0, len(flat), width))
    return [[None if v is None else v / by for v, by in zip(row, scales, strict=True)] for row in rows]
