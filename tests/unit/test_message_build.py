"""The messages of cameras and of the device, field by field."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edged.frame import ImageQuality, Pose3d
from edged.messages import build
from edged.messages.build import HeaderFactory, camera_status, device_status, encode, info, poses
from tests.support.clock import MS, FixedOffsetClock
from tests.support.messages import points, result, subject
from tests.support.schema import schema_errors


@pytest.fixture
def headers() -> HeaderFactory:
    return HeaderFactory(FixedOffsetClock())


def decoded(message: Mapping[str, Any]) -> Any:
    return json.loads(encode(message))


def test_answers_to_unknown_commands_are_numbered_together(headers: HeaderFactory) -> None:
    """A number of its own would be kept for every name that somebody sends."""
    bodies = [build.result(headers, verb, None, {}) for verb in ("v1", "v2", "diagnose", "v3")]
    assert [body["seq"] for body in bodies] == [0, 1, 0, 2]


def test_poses_with_one_subject_have_every_field(headers: HeaderFactory) -> None:
    assert decoded(poses(headers, result(subject()))) == {
        "v": 1,
        "ts": 9500,
        "time_synced": True,
        "seq": 0,
        "camera": "barn",
        "frame": 41,
        "image": {"w": 100, "h": 50},
        "subjects": [
            {
                "id": 7,
                "class": "horse",
                "score": 0.877,
                "detection_score": 0.877,
                "box": [0, 4.1, 100, 49.9],
                "keypoints": [[1.0, 2.1, 0.913], [-5.5, 60.0, 1.2]],
                "schema": "ap10k-17",
                "box_source": "detected",
            }
        ],
        "degraded": [],
        "quality": {"brightness": 100.0, "contrast": 50.1, "sharpness": 0.1235},
        "latency_ms": 23.0,
    }


def test_poses_without_subjects_have_an_empty_list(headers: HeaderFactory) -> None:
    assert poses(headers, result())["subjects"] == []


def test_poses_of_a_degraded_frame_name_the_broken_limits(headers: HeaderFactory) -> None:
    dark = ImageQuality(brightness=1, contrast=2, sharpness=0, degraded=("dark", "flat"))
    assert poses(headers, result(quality=dark))["degraded"] == ["dark", "flat"]


def test_keypoint_not_found_has_null_coordinates(headers: HeaderFactory) -> None:
    unseen = subject(keypoints=points((np.nan, np.nan, -0.00001), (3, 4, 0.5)))
    assert decoded(poses(headers, result(unseen)))["subjects"][0]["keypoints"] == [[None, None, 0.0], [3, 4, 0.5]]


def test_small_negative_numbers_round_to_zero_without_a_sign(headers: HeaderFactory) -> None:
    near_zero = subject(keypoints=points((-0.01, 3, -0.0001)))
    assert b"-0" not in encode(poses(headers, result(near_zero)))


def test_subject_without_a_pose_model_has_empty_keypoints_and_null_schema(headers: HeaderFactory) -> None:
    found = decoded(poses(headers, result(subject(keypoints=None, smoothed=None, schema=None))))["subjects"][0]
    assert (found["keypoints"], found["schema"]) == ([], None)


def test_smoothed_keypoints_are_added_on_request_only(headers: HeaderFactory) -> None:
    raw, both = (poses(headers, result(subject()), smoothed=flag)["subjects"][0] for flag in (False, True))
    assert "keypoints_smoothed" not in raw
    assert both["keypoints_smoothed"][1] == [-5, 60, 1.2]
    assert both["keypoints"] == raw["keypoints"]


def test_poses_of_a_recorded_frame_have_its_file_and_position(headers: HeaderFactory) -> None:
    recorded = poses(headers, result(source="clip.mp4", position=3))
    assert (recorded["source"], recorded["position"]) == ("clip.mp4", 3)
    assert "source_ms" not in recorded


def test_poses_of_a_recording_have_its_times(headers: HeaderFactory) -> None:
    recorded = poses(headers, result(source="clip.mp4", source_ns=1_234_560_000, recorded_utc_ms=1_700_000_000_123))
    assert (recorded["source_ms"], recorded["ts"]) == (1234.6, 1_700_000_000_123)
    assert "source" not in poses(headers, result())


@pytest.mark.parametrize("bad", [np.inf, -np.inf])
def test_encode_of_infinity_raises(headers: HeaderFactory, bad: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        encode(poses(headers, result(subject(keypoints=points((bad, 1, 1))))))


def test_encode_of_a_nan_score_raises(headers: HeaderFactory) -> None:
    with pytest.raises(ValueError, match="JSON"):
        encode(poses(headers, result(subject(keypoints=points((1, 1, np.nan))))))


def test_each_topic_has_its_own_sequence_numbers(headers: HeaderFactory) -> None:
    numbers = [poses(headers, result(camera=camera))["seq"] for camera in ("a", "a", "b", "a")]
    assert numbers == [0, 1, 0, 2]


def test_last_will_has_no_timestamp(headers: HeaderFactory) -> None:
    will = device_status(headers, "offline")
    assert will["state"] == "offline"
    assert will["ts"] is None
    assert device_status(headers, "online")["ts"] is not None


def test_camera_status_has_the_size_of_its_images_while_it_is_online(headers: HeaderFactory) -> None:
    online = camera_status(headers, "barn", state="online", reason="", since_ns=0, size_wh=(640, 360))
    lost = camera_status(headers, "barn", state="lost", reason="unplugged", since_ns=0)
    assert (online["image"], lost["image"]) == ({"w": 640, "h": 360}, None)


def test_camera_status_since_is_wall_clock_time(headers: HeaderFactory) -> None:
    status = camera_status(headers, "barn", state="lost", reason="no frame for 5 s", since_ns=700 * MS)
    assert (status["state"], status["reason"], status["since_ts"]) == ("lost", "no frame for 5 s", 9700)


def test_info_begins_with_the_header(headers: HeaderFactory) -> None:
    assert {"v", "ts", "time_synced", "seq", "cameras"} == info(headers, {"cameras": {}}).keys()


def test_encode_keeps_non_ascii_text() -> None:
    assert encode({"name": "Stall Süd"}) == '{"name":"Stall Süd"}'.encode()


IN_SPACE = Pose3d(
    xyz_mm=points((0, 0, 0), (-120.6, 300.4, 12.5)),
    root_mm=np.array([10.2, -5.8, 4200.4], np.float32),
    schema="h36m-18",
    depth_source="rootnet",
    focal_source="assumed",
)


def keypoints_3d(headers: HeaderFactory, *, smoothed: bool = False, steady: float = 0.0, **more: Any) -> Any:
    """Of a person, who is `steady` mm farther away after smoothing; valid by the schema."""
    pose3d = replace(IN_SPACE, **more)
    far = replace(pose3d, root_mm=pose3d.root_mm + np.array([0, 0, steady], np.float32))
    one = subject(label="person", schema="coco-17", pose3d=pose3d, smoothed3d=far)
    message = poses(headers, result(one), smoothed=smoothed)
    assert schema_errors("cam/a/poses", decoded(message)) == []
    (person,) = decoded(message)["subjects"]
    return person["keypoints_3d"]


def test_keypoints_3d_are_whole_millimetres(headers: HeaderFactory) -> None:
    assert keypoints_3d(headers) == {
        "xyz_mm": [[0, 0, 0], [-121, 300, 12]],
        "root_mm": [10, -6, 4200],
        "schema": "h36m-18",
        "depth_source": "rootnet",
        "focal_source": "assumed",
    }


def test_with_intrinsics_a_person_has_a_place_on_the_floor(headers: HeaderFactory) -> None:
    found = keypoints_3d(headers, focal_source="given", depth_error=0.1, steady=100)
    assert found["root_mm"] == [10, -6, 4200]
    assert (found["distance_m"], found["distance_error_m"], found["position_m"]) == (4.3, 0.43, [0.01, 4.3])
    tilted = keypoints_3d(headers, focal_source="given", tilt_deg=60)
    assert tilted["position_m"] == pytest.approx([0.01, 2.11], abs=0.005)  # 4.2 m along the view, half of it ahead
    assert tilted["distance_error_m"] is None


def test_smoothed_keypoints_3d_are_sent_when_configured(headers: HeaderFactory) -> None:
    found = keypoints_3d(headers, smoothed=True, steady=100)
    assert (found["root_mm"], found["root_smoothed_mm"]) == ([10, -6, 4200], [10, -6, 4300])
    assert found["xyz_smoothed_mm"] == found["xyz_mm"]


def test_subject_of_a_fixed_region_has_no_detection_score(headers: HeaderFactory) -> None:
    (found,) = poses(headers, result(subject(box_source="region", detection_score=None)))["subjects"]
    assert (found["box_source"], found["score"], found["detection_score"]) == ("region", 0.877, None)
