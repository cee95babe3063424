"""Raw model outputs to boxes and keypoints, with hand-made tensors."""

import numpy as np
import pytest

from edged.errors import ModelFault
from edged.inference.decode.detectors import (
    NON_FINITE,
    check_finite,
    logit,
    rtmdet,
    rtmdet_end2end,
    sigmoid,
    yolov8,
    yolox,
)
from edged.inference.decode.simcc import simcc

STRIDES = (8, 16, 32)
ALL = np.full(2, 0.5, np.float32)


def heads(size: int = 64) -> list[np.ndarray]:
    """Six RTMDet maps of two classes without a detection."""
    logits = [np.full((2, size // s, size // s), -9, np.float32) for s in STRIDES]
    return logits + [np.zeros((4, size // s, size // s), np.float32) for s in STRIDES]


def test_rtmdet_prior_is_cell_corner_and_distances_are_pixels() -> None:
    outputs = heads()
    outputs[1][1, 2, 3] = 2.0  # class 1, stride 16, row 2, column 3: prior (48, 32)
    outputs[4][:, 2, 3] = [10, 20, 30, 40]
    boxes = rtmdet(outputs, STRIDES, ALL)
    assert boxes.xyxy.tolist() == [[38, 12, 78, 72]]
    assert boxes.label.tolist() == [1]
    assert boxes.score.tolist() == [pytest.approx(1 / (1 + np.exp(-2)))]


def test_rtmdet_silent_heads_give_no_boxes() -> None:
    assert len(rtmdet(heads(), STRIDES, ALL)) == 0


def test_rtmdet_threshold_applies_per_class() -> None:
    outputs = heads()
    outputs[0][0, 0, 0] = outputs[0][1, 0, 1] = 1.0  # sigmoid 0.73
    assert rtmdet(outputs, STRIDES, np.array([0.7, 0.8], np.float32)).label.tolist() == [0]


def test_unwanted_best_class_gives_no_box_of_another() -> None:
    outputs = heads()
    outputs[0][:, 0, 0] = [1.0, 2.0]  # more of class 1 than of class 0
    assert len(rtmdet(outputs, STRIDES, np.array([0.5, np.inf], np.float32))) == 0


def test_end2end_padding_rows_give_no_boxes() -> None:
    dets = np.array([[1, 2, 3, 4, 0.9], [5, 6, 7, 8, 0.4], [0, 0, 0, 0, 0]], np.float32)
    boxes = rtmdet_end2end([dets, np.array([1, 0, 0], np.float32)], STRIDES, np.array([0, 0.5], np.float32))
    assert boxes.xyxy.tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]
    assert boxes.label.tolist() == [1, 0]


def test_yolox_decodes_cells_and_multiplies_objectness() -> None:
    raw = np.zeros((64 + 16 + 4, 7), np.float32)  # a 64 px net
    raw[64 + 5] = [0.5, 0.25, np.log(2), np.log(4), 0.8, 0.1, 0.9]  # stride 16, row 1, column 1
    boxes = yolox([raw], STRIDES, ALL)
    assert boxes.xyxy[0].tolist() == pytest.approx([24 - 16, 20 - 32, 24 + 16, 20 + 32])
    assert boxes.score.tolist() == [pytest.approx(0.72)]
    assert boxes.label.tolist() == [1]


def test_yolov8_decodes_centre_and_size_in_columns() -> None:
    raw = np.zeros((6, 84), np.float32)
    raw[:, 7] = [50, 60, 20, 40, 0.9, 0.2]
    boxes = yolov8([raw], STRIDES, ALL)
    assert boxes.xyxy.tolist() == [[40, 40, 60, 80]]
    assert boxes.label.tolist() == [0]


def test_sigmoid_and_logit_are_inverse_without_overflow() -> None:
    x = np.array([-200, -2, 0, 2, 80], np.float32)
    assert sigmoid(x) == pytest.approx([0, 0.1192029, 0.5, 0.8807971, 1])
    assert logit(np.array([0, 0.5, 1, np.inf], np.float32)).tolist() == [-np.inf, 0, np.inf, np.inf]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1.43e38, -1e6, 65504])
def test_output_that_no_sound_model_gives_raises_model_fault(bad: float) -> None:
    outputs = heads()
    outputs[3][0, 0, 0] = bad
    with pytest.raises(ModelFault, match="output 3") as caught:
        check_finite("m", outputs)
    assert caught.value.code == NON_FINITE


def test_output_of_large_but_sound_values_passes() -> None:
    check_finite("m", [np.array([-60000, 60000], np.float32), np.empty((0, 4), np.float32)])


def peaks(x: int, y: int, high_x: float, high_y: float) -> tuple[np.ndarray, np.ndarray]:
    along_x, along_y = np.zeros((1, 1, 384), np.float32), np.zeros((1, 1, 512), np.float32)
    along_x[0, 0, x], along_y[0, 0, y] = high_x, high_y
    return along_x, along_y


def test_simcc_bins_are_half_pixels_and_score_is_lower_peak() -> None:
    assert simcc(*peaks(101, 300, 0.9, 0.6), 2.0)[0, 0].tolist() == pytest.approx([50.5, 150, 0.6])


def test_simcc_tie_gives_lowest_bin() -> None:
    along_x, along_y = peaks(10, 20, 0.5, 0.5)
    along_x[0, 0, 30] = 0.5
    assert simcc(along_x, along_y, 2.0)[0, 0, 0] == 5


@pytest.mark.parametrize("score", [0.0, -0.1])
def test_keypoint_of_score_zero_has_nan_coordinates(score: float) -> None:
    along_x, along_y = np.full((1, 1, 384), score, np.float32), np.full((1, 1, 512), 0.4, np.float32)
    place = simcc(along_x, along_y, 2.0)[0, 0]
    assert np.isnan(place[:2]).all()
    assert place[2] == pytest.approx(score)


def test_empty_batch_decodes_to_no_keypoints() -> None:
    assert simcc(np.zeros((0, 17, 512), np.float32), np.zeros((0, 17, 512), np.float32), 2.0).shape == (0, 17, 3)
