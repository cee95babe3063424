"""What leaves the daemon, field by field."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edged.frame import F32, FrameResult, ImageQuality, Pose3d, TrackedSubject
from edged.messages.build import HeaderFactory, camera_status, device_status, encode, info, poses

MS = 1_000_000


class FixedOffsetClock:
    """A wall clock that is 9 000 ms ahead of the monotonic one."""

    synced = True

    def utc_ms(self, monotonic_ns: int) -> int:
        return monotonic_ns // MS + 9000


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
        carried=False,
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


@pytest.fixture
def stamps() -> HeaderFactory:
    return HeaderFactory(FixedOffsetClock())


def sent(message: Mapping[str, Any]) -> Any:
    return json.loads(encode(message))


def test_a_frame_with_one_subject_reads_so(stamps: HeaderFactory) -> None:
    assert sent(poses(stamps, result(subject()))) == {
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


def test_an_empty_frame_has_an_empty_list(stamps: HeaderFactory) -> None:
    assert poses(stamps, result())["subjects"] == []


def test_a_degraded_frame_names_the_limits_it_breaks(stamps: HeaderFactory) -> None:
    dark = ImageQuality(brightness=1, contrast=2, sharpness=0, degraded=("dark", "flat"))
    assert poses(stamps, result(quality=dark))["degraded"] == ["dark", "flat"]


def test_a_keypoint_not_found_has_no_place(stamps: HeaderFactory) -> None:
    lost = subject(keypoints=points((np.nan, np.nan, -0.00001), (3, 4, 0.5)))
    assert sent(poses(stamps, result(lost)))["subjects"][0]["keypoints"] == [[None, None, 0.0], [3, 4, 0.5]]


def test_no_number_is_minus_zero(stamps: HeaderFactory) -> None:
    faint = subject(keypoints=points((-0.01, 3, -0.0001)))
    assert b"-0" not in encode(poses(stamps, result(faint)))


def test_a_class_without_pose_model_has_no_keypoints(stamps: HeaderFactory) -> None:
    boxed = sent(poses(stamps, result(subject(keypoints=None, smoothed=None, schema=None))))["subjects"][0]
    assert (boxed["keypoints"], boxed["schema"]) == ([], None)


def test_smoothed_keypoints_come_only_when_asked_for(stamps: HeaderFactory) -> None:
    plain, asked = (poses(stamps, result(subject()), smoothed=flag)["subjects"][0] for flag in (False, True))
    assert "keypoints_smoothed" not in plain
    assert asked["keypoints_smoothed"][1] == [-5, 60, 1.2]
    assert asked["keypoints"] == plain["keypoints"]


def test_a_recorded_frame_says_where_it_is_from(stamps: HeaderFactory) -> None:
    recorded = poses(stamps, result(source="clip.mp4", position=3))
    assert (recorded["source"], recorded["position"]) == ("clip.mp4", 3)
    assert "source" not in poses(stamps, result())


@pytest.mark.parametrize("bad", [np.inf, -np.inf])
def test_infinity_never_leaves(stamps: HeaderFactory, bad: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        encode(poses(stamps, result(subject(keypoints=points((bad, 1, 1))))))


def test_a_score_that_is_not_a_number_never_leaves(stamps: HeaderFactory) -> None:
    with pytest.raises(ValueError, match="JSON"):
        encode(poses(stamps, result(subject(keypoints=points((1, 1, np.nan))))))


def test_every_topic_is_numbered_by_itself(stamps: HeaderFactory) -> None:
    numbers = [poses(stamps, result(camera=camera))["seq"] for camera in ("a", "a", "b", "a")]
    assert numbers == [0, 1, 0, 2]


def test_the_last_will_does_not_pretend_to_know_when(stamps: HeaderFactory) -> None:
    will = device_status(stamps, "offline")
    assert will["state"] == "offline"
    assert will["ts"] is None
    assert device_status(stamps, "online")["ts"] is not None


def test_a_camera_status_says_since_when_by_the_wall_clock(stamps: HeaderFactory) -> None:
    status = camera_status(stamps, "barn", state="lost", reason="no frame for 5 s", since_ns=700 * MS)
    assert (status["state"], status["reason"], status["since_ts"]) == ("lost", "no frame for 5 s", 9700)


def test_info_is_stamped(stamps: HeaderFactory) -> None:
    assert {"v", "ts", "time_synced", "seq", "cameras"} == info(stamps, {"cameras": {}}).keys()


def test_names_are_sent_as_they_are_written() -> None:
    assert encode({"name": "Stall Süd"}) == '{"name":"Stall Süd"}'.encode()


def test_a_person_in_space_is_told_in_whole_millimetres(stamps: HeaderFactory) -> None:
    pose3d = Pose3d(
        xyz_mm=points((0, 0, 0), (-120.6, 300.4, 12.5)),
        root_mm=np.array([10.2, -5.8, 4200.4], np.float32),
        schema="h36m-18",
        depth_source="rootnet",
        focal_source="given",
    )
    (told,) = sent(poses(stamps, result(subject(pose3d=pose3d))))["subjects"]
    assert told["keypoints_3d"] == {
        "xyz_mm": [[0, 0, 0], [-121, 300, 12]],
        "root_mm": [10, -6, 4200],
        "schema": "h36m-18",
        "depth_source": "rootnet",
        "focal_source": "given",
    }
