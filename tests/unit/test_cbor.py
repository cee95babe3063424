"""Poses in CBOR have the same content as in JSON, in fewer bytes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("cbor2", reason="needs cbor2; install edged[cbor]")

import cbor2

from edged.frame import Pose3d
from edged.messages.build import HeaderFactory, encode, poses
from edged.messages.cbor import UnpackError, pack, unpack
from edged.mqtt.fleet_state import decode_body
from tests.support.clock import FixedOffsetClock
from tests.support.messages import points, result, subject
from tests.support.schema import schema_errors


def crowd(count: int) -> dict[str, Any]:
    """Horses with 17 keypoints somewhere in a full-HD image."""
    rng = np.random.default_rng(7)
    points_xys = rng.uniform((0, 0, 0), (1920, 1080, 1), (count, 17, 3)).astype(np.float32)
    boxes = rng.uniform(0, 1080, (count, 4)).astype(np.float32)
    horses = (replace(subject(id=i + 1), xyxy=boxes[i], keypoints=points_xys[i]) for i in range(count))
    return dict(poses(HeaderFactory(FixedOffsetClock()), result(*horses, size_wh=(1920, 1080))))


def test_unpacked_cbor_equals_the_json() -> None:
    body = crowd(4)
    assert unpack(pack(body)) == json.loads(encode(body))
    assert schema_errors("cam/barn/poses", unpack(pack(body))) == []


def test_cbor_of_four_subjects_is_at_most_60_percent_of_the_json() -> None:
    body = crowd(4)
    assert len(pack(body)) <= 0.6 * len(encode(body))


def test_null_coordinates_and_smoothed_keypoints_survive_packing() -> None:
    unseen = subject(keypoints=points((float("nan"), float("nan"), 0.0)))
    body = poses(HeaderFactory(FixedOffsetClock()), result(unseen), smoothed=True)
    assert unpack(pack(body)) == json.loads(encode(body))
    assert unpack(pack(body))["subjects"][0]["keypoints"] == [[None, None, 0.0]]


def test_people_in_space_survive_packing() -> None:
    pose3d = Pose3d(
        xyz_mm=points((0, 0, 0), (-120, 300, 12)),
        root_mm=np.array([10, -6, 4200], np.float32),
        schema="h36m-18",
        depth_source="rootnet",
        focal_source="given",
        depth_error=0.1,
    )
    body = poses(HeaderFactory(FixedOffsetClock()), result(subject(pose3d=pose3d, smoothed3d=pose3d)), smoothed=True)
    assert unpack(pack(body)) == json.loads(encode(body))
    assert unpack(pack(body))["subjects"][0]["keypoints_3d"]["position_m"] == [0.01, 4.2]
    assert schema_errors("cam/barn/poses", unpack(pack(body))) == []


@pytest.mark.parametrize("payload", [b"", b"\xff", cbor2.dumps(3), cbor2.dumps({"subjects": []})])
def test_unpack_of_another_payload_raises(payload: bytes) -> None:
    with pytest.raises(UnpackError):
        unpack(payload)


def test_decode_body_reads_json_and_cbor() -> None:
    body = crowd(1)
    assert decode_body(pack(body)) == decode_body(encode(body)) == json.loads(encode(body))


@pytest.mark.parametrize("payload", [b"", b"[]", b"{", b"\xff\xd8\xff", cbor2.dumps([1])])
def test_decode_body_of_another_payload_is_none(payload: bytes) -> None:
    assert decode_body(payload) is None


def test_packed_scores_and_boxes_are_whole_numbers() -> None:
    body = poses(
        HeaderFactory(FixedOffsetClock()), result(subject(), subject(box_source="region", detection_score=None))
    )
    detected, region = cbor2.loads(pack(body))["subjects"]
    assert (detected["score"], detected["detection_score"], detected["box"]) == (877, 877, [0, 41, 1000, 499])
    assert (region["score"], region["detection_score"]) == (877, None)
    assert unpack(pack(body)) == json.loads(encode(body))
