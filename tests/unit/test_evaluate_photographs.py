"""Figures of photographs with known truth, from a contender with known answers."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pycocotools", reason="needs pycocotools; install edged[evaluate]")

from edged.frame import F32, U8, Boxes, TrackedSubject
from engines.card import Pose
from tools.evaluate.photographs.domains import Picture, Subject
from tools.evaluate.photographs.score import run

PERSON = np.array([100, 100, 160, 300], np.float32)
FAR = np.array([400, 100, 460, 300], np.float32)
NOSE = {"nose": (130.0, 120.0)}


class Scripted:
    """Publishes the boxes given, as people whose nose is at `nose`."""

    def __init__(self, *boxes: F32, nose: tuple[float, float] = NOSE["nose"]) -> None:
        self.backend = SimpleNamespace(classes=("person",))
        self.poses = {"person": Pose(schema="coco-17")}
        self._boxes, self._nose = np.array(boxes, np.float32).reshape(-1, 4), nose

    def _keypoints(self) -> F32:
        points = np.zeros((17, 3), np.float32)
        points[0] = (*self._nose, 0.9)
        return points

    def subjects(self, image: U8) -> Sequence[TrackedSubject]:
        return [
            TrackedSubject(
                id=number,
                label="person",
                score=0.9,
                xyxy=box,
                keypoints=self._keypoints(),
                smoothed=None,
                schema="coco-17",
                box_source="detected",
            )
            for number, box in enumerate(self._boxes, 1)
        ]

    def candidates(self, image: U8) -> tuple[Boxes, Boxes, tuple[F32 | None, ...]]:
        count = len(self._boxes)
        boxes = Boxes(xyxy=self._boxes, score=np.full(count, 0.9, np.float32), label=np.zeros(count, np.int64))
        return boxes, boxes, (self._keypoints(),) * count

    def keypoints(self, image: U8, label: str, boxes: F32) -> list[F32]:
        return [self._keypoints() for _ in boxes]


def picture(*subjects: Subject, ignored: Any = ()) -> Picture:
    regions = np.array(ignored, np.float32).reshape(-1, 4)
    return Picture(lambda: np.zeros((400, 600, 3), np.uint8), list(subjects), ignored=regions)


def figures(contender: Scripted, *pictures: Picture) -> dict[str, Any]:
    return run(contender, pictures)  # type: ignore[arg-type]  # it has what is used


def test_found_person_with_a_right_joint_counts_fully() -> None:
    found = figures(Scripted(PERSON), picture(Subject("person", PERSON, NOSE)))["person"]
    assert [found[key] for key in ("recall", "precision", "joints", "joints, true boxes")] == [1, 1, 1, 1]
    assert found["AP"]["all"] == pytest.approx(1)
    assert found["OKS-AP, true boxes"] == pytest.approx(1)


def test_joint_is_wrong_beyond_a_tenth_of_the_box() -> None:
    subject = picture(Subject("person", PERSON, NOSE))
    shares = [figures(Scripted(PERSON, nose=(130.0, y)), subject)["person"]["joints"] for y in (139, 142)]
    assert shares == [1, 0]


def test_joints_of_a_person_that_is_not_found_are_wrong() -> None:
    found = figures(Scripted(FAR), picture(Subject("person", PERSON, NOSE)))["person"]
    assert [found[key] for key in ("recall", "precision", "joints", "joints, true boxes")] == [0, 0, 0, 1]


def test_second_box_of_one_person_is_false() -> None:
    found = figures(Scripted(PERSON, PERSON + 4), picture(Subject("person", PERSON)))["person"]
    assert (found["recall"], found["precision"]) == (1, 0.5)


def test_box_in_an_ignored_region_is_not_false() -> None:
    found = figures(Scripted(PERSON, FAR), picture(Subject("person", PERSON), ignored=[(390, 90, 470, 310)]))["person"]
    assert found["precision"] == 1


def test_small_people_and_small_boxes_do_not_count() -> None:
    small = np.array([10, 10, 30, 50], np.float32)
    found = figures(Scripted(small + 200), picture(Subject("person", small)))["person"]
    assert found["subjects"] == 0
    assert np.isnan(found["precision"])


def test_silence_is_the_share_of_pictures_with_nothing_published() -> None:
    assert figures(Scripted(), picture(), picture())["silent"] == 1
    loud = figures(Scripted(FAR), picture())
    assert (loud["silent"], loud["person"]["boxed"]) == (0, 1)
