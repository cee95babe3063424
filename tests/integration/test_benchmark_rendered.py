"""Rendered people in space are where the picture shows them."""

import numpy as np
import pytest

scatter = pytest.importorskip("tools.synth.scatter", reason="needs numba, of the synth extra")


def test_projected_3d_truth_equals_the_2d_truth() -> None:
    _, (truth, *_) = scatter.picture(77, 1, (320, 180), "person", pinhole=True)
    fx, fy, cx, cy = truth.lens
    space, points = truth.space_m["lsp-14"], truth.keypoints["lsp-14"]
    px = space[:, :2] / space[:, 2:] * [fx, fy] + [cx, cy]
    inside = points[:, 2] > 0
    assert inside.sum() > 8
    assert px[inside] == pytest.approx(points[inside, :2], abs=0.01)
    assert 0.2 < np.linalg.norm(space[2] - space[1]) < 0.6  # a thigh, in metres
