"""Pictures for people. The image is 640 × 360 grey; one subject stands in it."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from edged.drawing.annotate import LEFT, RIGHT, annotate
from edged.drawing.labels import Plate, place_labels
from edged.frame import F32, U8, BoxSource, FrameResult, ImageQuality, TrackedSubject
from engines.card.schema import SCHEMAS

LSP = SCHEMAS["lsp-14"]


def grey(width: int = 640, height: int = 360) -> U8:
    return np.full((height, width, 3), 128, np.uint8)


def skeleton(score: float = 0.9) -> F32:
    """Left side at x = 350, right side at x = 300, the rest between; from y = 100 down."""
    sides = {"left": 350, "right": 300}
    return np.array(
        [(sides.get(name.split("_")[0], 325), 100 + 12 * i, score) for i, name in enumerate(LSP.keypoints)],
        np.float32,
    )


def subject(
    keypoints: F32 | None, *, box_source: BoxSource = "detected", box: tuple[float, ...] = (280, 80, 370, 300)
) -> TrackedSubject:
    return TrackedSubject(
        id=1, label="person", score=0.9, xyxy=np.array(box, np.float32), keypoints=keypoints,
        smoothed=None, schema=None if keypoints is None else "lsp-14", box_source=box_source,
    )  # fmt: skip


def drawn(*subjects: TrackedSubject, image: U8 | None = None, degraded: tuple[str, ...] = ()) -> U8:
    image = grey() if image is None else image
    result = FrameResult(
        camera="c", seq=0, captured_ns=0, done_ns=0, size_wh=(640, 360), subjects=subjects, stage_ns={},
        quality=ImageQuality(brightness=1, contrast=2, sharpness=0.5, degraded=degraded),
    )  # fmt: skip
    return annotate(image, result)


def changed(picture: U8) -> int:
    return int((picture != 128).any(axis=2).sum())


def has(picture: U8, colour: tuple[int, int, int]) -> bool:
    return bool((picture == colour).all(axis=2).any())


def test_annotate_without_subjects_changes_nothing() -> None:
    assert changed(drawn()) == 0


def test_annotate_leaves_the_given_image_unchanged() -> None:
    image = grey()
    drawn(subject(skeleton()), image=image)
    assert (image == 128).all()


def test_annotate_left_and_right_limbs_differ_in_colour() -> None:
    picture = drawn(subject(skeleton()))
    assert has(picture[:, 345:356], LEFT)
    assert not has(picture[:, 345:356], RIGHT)
    assert has(picture[:, 295:306], RIGHT)


def test_annotate_keypoints_below_the_threshold_are_faint() -> None:
    sure, unsure, none = (drawn(subject(k)).astype(int) for k in (skeleton(0.9), skeleton(0.1), None))
    assert 0 < np.abs(unsure - none).sum() < 0.5 * np.abs(sure - none).sum()


def test_annotate_threshold_is_the_cards() -> None:
    result = FrameResult(
        camera="c", seq=0, captured_ns=0, done_ns=0, size_wh=(640, 360), subjects=(subject(skeleton(0.5)),),
        stage_ns={}, quality=ImageQuality(brightness=1, contrast=2, sharpness=0.5),
    )  # fmt: skip
    assert has(annotate(grey(), result, {"lsp-14": 0.4}), LEFT)
    assert not has(annotate(grey(), result, {"lsp-14": 0.6}), LEFT)


def test_annotate_draws_smoothed_keypoints_where_available() -> None:
    moved = skeleton() + np.array([200, 0, 0], np.float32)
    both = TrackedSubject(
        id=1, label="person", score=0.9, xyxy=np.array((280, 80, 370, 300), np.float32), keypoints=skeleton(),
        smoothed=moved, schema="lsp-14", box_source="detected",
    )  # fmt: skip
    assert has(drawn(both)[:, 545:556], LEFT)


def test_annotate_nan_keypoints_are_not_drawn() -> None:
    absent = skeleton()
    absent[:, :2] = np.nan
    assert (drawn(subject(absent)) == drawn(subject(None))).all()
    assert (drawn(subject(skeleton(0.0))) == drawn(subject(None))).all()


def test_box_not_detected_in_the_frame_is_dashed() -> None:
    sources: tuple[BoxSource, ...] = ("detected", "tracked")
    edge = [changed(drawn(subject(None, box_source=source))[120:300]) for source in sources]
    assert 0.4 * edge[0] < edge[1] < 0.7 * edge[0]


def labels(*subjects: TrackedSubject) -> list[tuple[str, Plate]]:
    return [(lettering.text, plate) for _, lettering, plate in place_labels(grey(), subjects)]


def test_label_has_class_id_and_percent() -> None:
    assert [text for text, _ in labels(subject(None))] == ["person #1 90 %"]


def test_labels_in_a_crowd_are_shorter_and_never_overlap() -> None:
    crowd = [subject(None, box=(x, 80, x + 40, 300)) for x in range(200, 400, 8)]
    placed = labels(*crowd)
    assert {"person #1 90 %", "#1"} <= {text for text, _ in placed}
    assert not [(a, b) for a, b in combinations((plate for _, plate in placed), 2) if a.overlaps(b)]


@pytest.mark.parametrize(
    "box", [(0, 0, 640, 360), (630, 350, 900, 900), (-50, -50, 5, 5)], ids=["all", "corner", "out"]
)
def test_label_lies_inside_the_image(box: tuple[float, ...]) -> None:
    ((_, plate),) = labels(subject(None, box=box))
    assert 0 <= plate.x0 < plate.x1 <= 640
    assert 0 <= plate.y0 < plate.y1 <= 360


def test_annotate_caption_is_written_along_the_lower_edge() -> None:
    result = FrameResult(
        camera="c", seq=0, captured_ns=0, done_ns=0, size_wh=(640, 360), subjects=(), stage_ns={},
        quality=ImageQuality(brightness=1, contrast=2, sharpness=0.5),
    )  # fmt: skip
    picture = annotate(grey(), result, caption="on its chest")
    assert changed(picture[340:]) > 640 * 15
    assert changed(picture[:320]) == 0


def test_annotate_degraded_image_has_a_banner() -> None:
    assert drawn(degraded=("dark",))[2, 600].tolist() != [128, 128, 128]
    assert changed(drawn(degraded=("dark", "blurred"))) > 640 * 10


@pytest.mark.parametrize("size", [(1, 1), (64, 48), (3840, 2160)], ids=["1x1", "tiny", "4K"])
def test_annotate_accepts_any_image_size(size: tuple[int, int]) -> None:
    picture = drawn(subject(skeleton()), image=grey(*size), degraded=("dark", "flat", "blurred"))
    assert picture.shape == (size[1], size[0], 3)


def test_annotate_accepts_coordinates_far_outside() -> None:
    far = skeleton() * np.array([1e12, -1e12, 1], np.float32)
    drawn(subject(far, box=(-1e12, -5, 1e12, 1e12)))
