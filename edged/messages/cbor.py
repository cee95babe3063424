"""Poses as CBOR in whole numbers: the same message in 55 to 65 % of the bytes. cbor2 is imported when first needed.

Packed are a subject's scores, `box` and keypoints; all else is as in JSON. `packed` has the divisors: `px` of x
and y, `score` of scores. Keypoints are one flat list x, y, score, x, y, score, …; null stays null.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from itertools import chain
from typing import Any

from edged.errors import ConfigError

PX_SCALE, SCORE_SCALE = 10, 1000  # packed integers: tenths of a pixel, thousandths
KEYPOINT_SCALES = (PX_SCALE, PX_SCALE, SCORE_SCALE)
KEYPOINT_FIELDS = ("keypoints", "keypoints_smoothed")
SCORE_FIELDS = ("score", "detection_score")


class UnpackError(ValueError):
    """The payload is no packed `poses` body."""


def require_cbor2() -> None:
    """Raises ConfigError without cbor2."""
    try:
        import_module("cbor2")
    except ImportError as exc:
        raise ConfigError(
            "publish.encoding = 'cbor': cbor2 is not installed; in a clone of edged: pip install '.[cbor]'"
        ) from exc


def pack(poses: Mapping[str, Any]) -> bytes:
    """The CBOR payload of a `poses` body."""
    subjects = [_pack_subject(subject) for subject in poses["subjects"]]
    body: bytes = import_module("cbor2").dumps(
        {**poses, "packed": {"px": PX_SCALE, "score": SCORE_SCALE}, "subjects": subjects}
    )
    return body


def unpack(payload: bytes) -> dict[str, Any]:
    """The `poses` body of a CBOR payload, as it is in JSON. Raises UnpackError."""
    cbor2 = import_module("cbor2")
    try:
        body = cbor2.loads(payload)
        by = body.pop("packed")
        subjects = [_unpack_subject(subject, by["px"], by["score"]) for subject in body["subjects"]]
    except (cbor2.CBORDecodeError, AttributeError, KeyError, TypeError) as exc:
        raise UnpackError(f"not a packed poses body: {exc!r}") from exc
    return {**body, "subjects": subjects}


def _pack_subject(subject: Mapping[str, Any]) -> dict[str, Any]:
    points = {key: _flat(subject[key]) for key in KEYPOINT_FIELDS if key in subject}
    scores = {key: _scaled(subject[key], SCORE_SCALE) for key in SCORE_FIELDS if key in subject}
    return {**subject, **points, **scores, "box": [_scaled(value, PX_SCALE) for value in subject["box"]]}


def _flat(keypoints: Iterable[Iterable[float | None]]) -> list[int | None]:
    pairs = chain.from_iterable(zip(point, KEYPOINT_SCALES, strict=True) for point in keypoints)
    return [_scaled(value, scale) for value, scale in pairs]


def _scaled(value: float | None, scale: int) -> int | None:
    return None if value is None else round(value * scale)


def _unpack_subject(subject: Mapping[str, Any], px: int, score: int) -> dict[str, Any]:
    points = {key: _rows(subject[key], (px, px, score)) for key in KEYPOINT_FIELDS if key in subject}
    scores = {key: _divided(subject[key], score) for key in SCORE_FIELDS if key in subject}
    return {**subject, **points, **scores, "box": [_divided(value, px) for value in subject["box"]]}


def _rows(flat: list[int | None], scales: tuple[int, ...]) -> list[list[float | None]]:
    width = len(scales)
    rows = (flat[start : start + width] for start in range(0, len(flat), width))
    return [[_divided(value, scale) for value, scale in zip(row, scales, strict=True)] for row in rows]


def _divided(value: int | None, scale: int) -> float | None:
    return None if value is None else value / scale
