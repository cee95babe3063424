"""The robustness figures, by hand: which subjects were detected, and which were lost between two detections."""

from __future__ import annotations

import numpy as np
import pytest

from edged.config.tables.camera import QualityConfig
from edged.frame import FrameResult, ImageQuality, TrackedSubject
from engines.card.schema import SCHEMAS
from tools.robustness.clips import SCHEMA
from tools.robustness.conditions import CONDITIONS
from tools.robustness.limits import LADDERS, StillScore, named_as_published, withheld
from tools.robustness.report import limits_of
from tools.robustness.score import Play, Truth, score

BOX = (10.0, 10.0, 110.0, 60.0)
CLEAR = ImageQuality(brightness=120, contrast=90, sharpness=0.5)
DARK = ImageQuality(brightness=2, contrast=90, sharpness=0.5, degraded=("dark",))
TRUE = Truth(number=1, kind="horse", xyxy=np.array(BOX, np.float32), keypoints=np.array([[20, 20, 1]], np.float32))


def on_it(*, off_px: float = 0.0, box: tuple[float, ...] = BOX) -> TrackedSubject:
    points = np.array([[20 + off_px, 20, 0.9]], np.float32)
    return TrackedSubject(
        id=1, label="horse", score=0.8, xyxy=np.array(box, np.float32), keypoints=points, smoothed=None,
        schema="ap10k-17", box_source="detected",
    )  # fmt: skip


def frame(*subjects: TrackedSubject, clarity: ImageQuality = CLEAR) -> FrameResult:
    return FrameResult(
        camera="a", seq=0, captured_ns=0, done_ns=0, size_wh=(200, 100), subjects=subjects, quality=clarity, stage_ns={}
    )


def figures(*results: FrameResult) -> dict[str, float | None]:
    return score([Play(truth=[[TRUE]] * len(results), results=results)])


def test_frames_between_two_detections_are_lost() -> None:
    found = figures(frame(), frame(on_it()), frame(), frame(), frame(on_it()), frame())
    assert found["lost"] == 2
    assert found["detection"] == pytest.approx(2 / 6)


def test_keypoint_farther_than_a_tenth_is_wrong() -> None:
    assert figures(frame(on_it(off_px=9)), frame(on_it(off_px=11)))["pck"] == 0.5


def test_error_is_a_share_of_the_longer_side() -> None:
    assert figures(frame(on_it(off_px=2)))["error"] == pytest.approx(0.02)


def test_misplaced_subject_is_neither_detected_nor_lost() -> None:
    neighbour = (70.0, 10.0, 170.0, 60.0)  # IoU 0.25
    found = figures(frame(on_it()), frame(on_it(box=neighbour)), frame(on_it()))
    assert found["detection"] == pytest.approx(2 / 3)
    assert (found["lost"], found["phantoms"]) == (0, 0)


def test_subject_near_no_true_one_is_a_phantom() -> None:
    assert figures(frame(on_it(), on_it(box=(150, 10, 190, 60))))["phantoms"] == 1


def test_gated_frames_count_among_the_lost() -> None:
    found = figures(frame(on_it()), frame(clarity=DARK), frame(on_it()))
    assert (found["lost"], found["lost_gated"]) == (1, 1)
    assert found["gated"] == pytest.approx(1 / 3)


@pytest.mark.parametrize("name", CONDITIONS)
def test_condition_is_repeatable_and_does_not_write_its_input(name: str) -> None:
    image = np.random.default_rng(2).integers(0, 256, (90, 160, 3)).astype(np.uint8)
    before = image.copy()
    first, again = (CONDITIONS[name](image, np.random.default_rng(5)) for _ in range(2))
    assert (first.shape, first.dtype) == (image.shape, image.dtype)
    assert (image == before).all()
    assert (first == again).all()
    assert name == "clean" or (first != image).any()


def test_limit_withholds_frames_beyond_it() -> None:
    stills = [StillScore(5.0, 3, 1, 0, 1), StillScore(9.0, 0, 7, 1, 1)]
    below = withheld(stills, 8, below=True)
    assert below == {"wrong": 3, "right": 1, "missed": 1, "found": 0}
    assert withheld(stills, 8, below=False) == {"wrong": 0, "right": 7, "missed": 0, "found": 1}
    assert withheld([], 8, below=True)["missed"] == 0


def test_report_tries_the_default_limits() -> None:
    climbs = {ladder: {"measure": measure, "rungs": {}, "stills": []} for ladder, (measure, _) in LADDERS.items()}
    tried = limits_of(climbs)["tried"]
    for name in ("min_brightness", "max_brightness", "min_sharpness"):
        assert getattr(QualityConfig(), name) in [row["value"] for row in tried if row["limit"] == name]


def test_joints_of_lsp_stand_where_the_published_ones_do() -> None:
    joints, places = (SCHEMAS[name].keypoints for name in ("lsp-14", SCHEMA["person"]))
    points = named_as_published(np.array([(at, at, 1) for at in range(14)], np.float32))
    assert points.shape == (17, 3)
    assert points[places.index("left_ankle")].tolist() == [joints.index("left_ankle")] * 2 + [1]
    assert points[places.index("nose"), 2] == 0
