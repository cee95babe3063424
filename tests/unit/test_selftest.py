"""The self-test of an engine: each kind of failure is named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from edged.inference.decode.detectors import FAMILIES
from edged.inference.decode.heatmap3d import soft_argmax
from engines.build.progress import Estimate
from engines.catalogue import load
from engines.verify.accuracy import AccuracyDiff, accuracy_diff
from engines.verify.selftest import selftest

POSE, DETECT = load(None)["rtmpose-t-lsp14"], load(None)["own-rtmdet-person"]
F32 = Any
DECODE = FAMILIES["rtmdet-end2end"].decode


class Model:
    """Answers of our own making; `spoil` changes the n-th."""

    def __init__(self, spoil: Callable[[int, list[F32]], Any] = lambda n, outputs: outputs) -> None:
        self._spoil = spoil
        self._asked = 0

    def run(self, tensor: F32) -> Sequence[F32]:
        outputs = [np.concatenate(axis) for axis in zip(*map(self._one, tensor), strict=True)]
        self._asked += 1
        return list(self._spoil(self._asked, outputs))

    def _one(self, image: F32) -> list[F32]:
        rng = np.random.default_rng(int(abs(image).sum()) % 1000)
        outputs = [rng.uniform(0, 0.2, (1, 14, bins)).astype(np.float32) for bins in (384, 512)]
        for output in outputs:
            output[0, np.arange(14), rng.integers(20, 300, 14)] = 0.9
        return outputs

    def close(self) -> None:
        """Nothing."""


def faults(spoil: Callable[[int, list[F32]], Any], batches: Sequence[int] = (1,)) -> str:
    return "; ".join(selftest(POSE, Model(spoil), Model(), None, batches).faults)


def rolled(n: int, outputs: list[F32]) -> list[F32]:
    return [np.roll(outputs[0], 20, axis=2), outputs[1]]


def nan(n: int, outputs: list[F32]) -> list[F32]:
    outputs[0][0, 0, 0] = np.nan
    return outputs


def weaker(n: int, outputs: list[F32]) -> list[F32]:
    return [output * 0.9 for output in outputs]


def moody(n: int, outputs: list[F32]) -> list[F32]:
    return outputs if n < 5 else [output + 0.1 for output in outputs]


def deaf(n: int, outputs: list[F32]) -> list[F32]:
    return Model().run(np.ones((1, 1)))  # type: ignore[return-value]


def last_of_four(n: int, outputs: list[F32]) -> list[F32]:
    if len(outputs[0]) == 4:
        outputs[0][3] = np.roll(outputs[0][3], 20, axis=1)
    return outputs


def test_identical_model_passes() -> None:
    proof = selftest(POSE, Model(), Model(), None)
    assert (proof.passed, proof.drift.max_shift_px, proof.drift.argmax_agreement) == (True, 0.0, 1.0)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (rolled, "a keypoint moved 10.0 px"),
        (nan, "4 values are NaN"),
        (weaker, "a score changed by 0.090"),
        (moody, "something else the second time"),
        (deaf, "another input gives the same"),
    ],
)
def test_faulty_engine_fails_with_its_reason(spoil: Callable[[int, list[F32]], Any], reason: str) -> None:
    assert reason in faults(spoil)


def test_selftest_covers_every_position_of_every_batch_size() -> None:
    assert faults(last_of_four, (1, 2, 4, 8)) == "in batches of 4 a keypoint moved 10.0 px, 2.0 allowed"
    assert faults(last_of_four, (1, 2, 8)) == ""


def test_selftest_without_findings_fails() -> None:
    blank = [np.zeros((1, 14, bins), np.float32) for bins in (384, 512)]
    found = accuracy_diff(POSE, None, blank, blank)
    assert found.violations(POSE.tolerance) == ["nothing was found in the golden input to compare"]


def boxes(*rows: tuple[float, ...]) -> list[F32]:
    dets = np.array(rows, np.float32).reshape(1, -1, 5)
    return [dets, np.zeros((1, dets.shape[1]), np.int64)]


def test_boxes_are_compared_with_their_counterparts() -> None:
    found = accuracy_diff(DETECT, DECODE, boxes((0, 0, 100, 100, 0.9)), boxes((0, 0, 100, 90, 0.8)))
    assert (found.min_iou, found.unmatched) == (0.9, 0)
    assert found.max_score_diff == pytest.approx(0.1, abs=1e-4)


def test_missing_box_is_reported() -> None:
    found = accuracy_diff(DETECT, DECODE, boxes((0, 0, 9, 9, 0.9)), boxes((50, 50, 60, 60, 0.9)))
    assert "1 of the reference's boxes are missing" in "; ".join(found.violations(DETECT.tolerance))


@pytest.mark.parametrize(("second", "shift_px"), [(0.8995, 0.0), (0.898, 10.0)], ids=["tied in FP16", "lower"])
def test_other_peak_is_the_same_where_fp16_cannot_tell_them_apart(second: float, shift_px: float) -> None:
    reference = [np.zeros((1, 14, bins), np.float32) for bins in (384, 512)]
    for axis in reference:
        axis[0, :, 100], axis[0, :, 120] = 0.9, second
    outputs = [reference[0].copy(), reference[1]]
    outputs[0][0, 3, [100, 120]] = second, 0.9
    assert accuracy_diff(POSE, None, reference, outputs).max_shift_px == shift_px


@pytest.mark.parametrize(("second", "shift_px"), [(0.8988, 0.0), (0.898, 10.0)], ids=["rounded", "lower"])
def test_peaks_that_fp16_has_alike_are_one_if_both_may_have_been_rounded(second: float, shift_px: float) -> None:
    reference = [np.zeros((1, 14, bins), np.float32) for bins in (384, 512)]
    for axis in reference:
        axis[0, :, 120], axis[0, :, 100] = 0.9, second
    outputs = [reference[0].copy(), reference[1]]
    outputs[0][0, 3, [100, 120]] = 0.899
    assert accuracy_diff(POSE, None, reference, outputs).max_shift_px == shift_px


def test_sum_of_two_diffs_keeps_the_worse_values() -> None:
    both = AccuracyDiff(max_shift_px=1, argmax_agreement=1.0, compared=1) + AccuracyDiff(
        max_shift_px=3, argmax_agreement=0.5, compared=3, nan=2
    )
    assert (both.max_shift_px, both.argmax_agreement, both.nan, both.compared) == (3, 0.625, 2, 4)


def test_progress_never_falls_and_ends_below_one() -> None:
    estimate, shares = Estimate(), []
    estimate.start("build", None, 2)
    estimate.start("graph", "build", 4)
    for step in range(4):
        estimate.step("graph", step)
        shares.append(estimate.now(1.0).share)
    estimate.finish("graph")
    estimate.step("build", 0)
    estimate.start("tactics", "build", 1000)
    shares.append(estimate.now(2.0).share)
    estimate.step("tactics", 499)
    shares.append(estimate.now(3.0).share)
    assert shares == sorted(shares)
    assert shares[3] == pytest.approx(0.5)
    assert shares[-1] == pytest.approx(0.75, abs=0.01)


def test_remaining_time_follows_the_previous_build() -> None:
    progress = Estimate(usual_s=100).now(25)
    assert (progress.share, progress.left_s) == (0.25, 75)


def test_remaining_time_is_unknown_at_the_start_of_a_first_build() -> None:
    assert Estimate().now(5).left_s is None


LIFT, ROOT = load(None)["convnextpose-s"], load(None)["rootnet"]


def peak(joint: int, z: int, y: int, x: int) -> F32:
    """A volume whose joints lie in its middle, but one."""
    volume = np.zeros((1, 18, 32, 32, 32), np.float32)
    volume[0, :, 16, 16, 16] = 50
    volume[0, joint] = np.roll(volume[0, joint], (z, y, x), (0, 1, 2))
    return volume.reshape(1, 576, 32, 32)


def test_joint_moved_by_one_bin_differs_by_its_depth_in_millimetres() -> None:
    found = accuracy_diff(LIFT, soft_argmax, [peak(7, 0, 0, 0)], [peak(7, 3, 0, 4)])
    assert found.max_shift_mm == pytest.approx(5 * 2000 / 32, rel=1e-4)
    assert found.violations(LIFT.tolerance) == ["a joint moved 312.5 mm, 1.0 allowed"]
    assert accuracy_diff(LIFT, soft_argmax, [peak(7, 0, 0, 0)], [peak(7, 0, 0, 0)]).violations(LIFT.tolerance) == []


def test_moved_root_is_reported_in_pixels_and_depth() -> None:
    was = [np.array([[32, 32]], np.float32), np.array([[0.8]], np.float32)]
    found = accuracy_diff(ROOT, None, was, [was[0] + (3, 4), was[1] * 1.01])
    assert found.max_shift_px == pytest.approx(20)
    assert found.max_depth_diff == pytest.approx(0.01)
    violations = found.violations(ROOT.tolerance)
    assert [fault.split(" ", 2)[1] for fault in violations] == ["keypoint", "depth"]
