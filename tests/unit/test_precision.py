"""Measuring precisions: the range of an activation, the end of a graph, and what is written into a card."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from engines.card import Card, Tolerance
from engines.catalogue import load
from engines.verify.accuracy import AccuracyDiff
from tools.precision.__main__ import with_islands
from tools.precision.accuracy import Truth, too_much
from tools.precision.drift import drift
from tools.precision.fp16 import group, halved
from tools.precision.int8 import BINS, MIN_SCORE_TOLERANCE, TOLERANCE, _with_room, activation_ranges, best_range
from tools.precision.page import page

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def test_range_follows_the_values_and_not_a_lone_outlier() -> None:
    values = np.abs(np.random.default_rng(3).normal(size=200_000))
    values[0] = 20.0
    counts = np.histogram(values, BINS, (0, 20.0))[0]
    assert 3.0 < best_range(counts, 20.0) < 10.0
    assert best_range(np.ones(BINS), 20.0) > 19.0


@pytest.mark.parametrize(
    ("name", "beginning"),
    [
        ("/net/head/cls_x/MatMul", "/net/head/cls_x/"),
        ("/net/backbone/stage1/stage1.1/main_conv/conv/Conv", "/net/backbone/stage1/"),
        ("/score/Mul", "/score/"),
        ("/Mul_1", "/Mul_1"),
        ("Conv_12", "Conv_12"),
    ],
)
def test_group_of_a_node_is_the_beginning_of_its_name(name: str, beginning: str) -> None:
    assert group(name) == beginning
    assert name.startswith(beginning)


def test_half_of_a_tolerance_is_half_the_way_to_equal() -> None:
    half = halved(Tolerance(shift_px=2.0, iou=0.9, score=0.03))
    assert [half.shift_px, half.iou, half.score] == pytest.approx([1.0, 0.95, 0.015])


def test_islands_replace_those_of_the_card_and_can_be_none() -> None:
    card = 'name = "a"\nfamily = "simcc"\nfp32 = ["/old"] # because\n\n[source]\n'
    assert 'family = "simcc"\nfp32 = ["/score/"] #' in with_islands(card, ("/score/",))
    assert with_islands(card, ()) == 'name = "a"\nfamily = "simcc"\n\n[source]\n'
    assert "/old" not in with_islands(card, ("/score/",))


def test_islands_replace_a_list_of_several_lines() -> None:
    before, after = 'name = "a"\nfamily = "simcc"\n', '\n[source]\nbundled = "x]"\n'
    card = before + 'fp32 = [ # ends in ]\n  "/old[0]/", # "the head"\n  \'/old/1\',\n] # because\n' + after
    assert with_islands(card, ()) == before + after
    assert tomllib.loads(with_islands(card, ("/score/",)))["fp32"] == ["/score/"]


def test_drift_of_people_in_space_is_in_mm_and_in_shares_of_the_depth() -> None:
    cards = load()
    volume = np.zeros((1, 576, 32, 32), np.float32)
    volume[0, 16, 8, 8] = 50
    other = np.roll(volume, 1, axis=1)  # one bin of 62.5 mm behind
    apart = drift(cards["lift-person-t"], [[volume]], [[other]])
    assert apart.shift_p95_mm == pytest.approx(62.5, abs=0.1)
    assert not apart.is_within(Tolerance(shift_mm=62))
    assert apart.is_within(Tolerance(shift_mm=63))
    place, near, far = np.zeros((1, 2), np.float32), np.ones((1, 1), np.float32), np.full((1, 1), 1.1, np.float32)
    root = drift(cards["rootnet-person-t"], [[place, near]], [[place, far]])
    assert root.depth_p95 == pytest.approx(0.1, abs=1e-3)
    assert not root.is_within(Tolerance(depth=0.09))


def test_self_test_of_int8_has_room_over_what_was_measured() -> None:
    far = _with_room(AccuracyDiff(max_shift_px=8.0, min_iou=0.7, max_score_diff=0.2))
    assert [far.shift_px, far.iou, far.score] == pytest.approx([12.0, 0.55, 0.3])
    assert _with_room(AccuracyDiff()) == TOLERANCE.model_copy(update={"score": MIN_SCORE_TOLERANCE})


def test_int8_may_lose_a_hundredth_or_two_mm() -> None:
    near = {"person: recall": 0.009, "MPJPE mm": 1.9, "depth error %": 0.9}
    far = {"horse: OKS-AP, true boxes": 0.011, "MPJPE mm": 2.1, "depth error %": 1.1}
    assert (too_much(near), too_much(far)) == ({}, far)


class Known:
    """A truth of which shares fall, and errors in mm and per cent grow, in INT8."""

    def __init__(self) -> None:
        self._fp32: dict[str, dict[str, float]] = {}

    def _figures(self, card: Card, file: Path, precision: str) -> dict[str, float]:
        share, mm = {"fp32": (0.8, 150.0), "int8": (0.7, 151.0)}[precision]
        return {"person: recall": share, "MPJPE mm": mm}


def test_what_is_worse_in_int8_is_lost() -> None:
    lost = Truth.lost(Known(), load()["lift-person-t"], Path("absent"))  # type: ignore[arg-type]
    assert lost == pytest.approx({"person: recall": 0.1, "MPJPE mm": 1.0})


def test_range_of_the_input_is_measured_where_a_convolution_reads_it_alone() -> None:
    text = """<ir_version: 8, opset_import: ["" : 17]> net (float[1, 1, 2, 2] image) => (float[1, 1, 2, 2] y)
        <float[1, 1, 1, 1] kernel = {1}> { half = BODY y = Conv(KIND, kernel) }"""
    image = np.array([[[[1, 2], [3, 4]]]], np.float32)

    def ranges(body: str, kind: str) -> dict[str, float]:
        model = onnx.parser.parse_model(text.replace("BODY", body).replace("KIND", kind))
        return activation_ranges(model, [image])

    assert ranges("Add(image, image)", "half") == pytest.approx({"half": 8.0}, rel=0.1)
    assert ranges("Identity(image)", "image") == pytest.approx({"image": 4.0}, rel=0.1)


def test_page_of_engines_says_what_is_offered_and_what_could_not_be_built() -> None:
    built = {"prepare_s": 1.0, "drift": None, "build_s": 2.0, "engine_mb": 3.0, "peak_rss_mb": 400}
    drift = {"shift_p95_px": 1.0, "iou_mean": 1.0, "score_mean": 0.0, "shift_p95_mm": 2.5, "depth_p95": 0.0}
    failed = {"prepare_s": 1.0, "drift": drift, "failed": "no memory"}
    whole = {"origin": "in the package", "task": "lift", "built": {"fp32": built, "fp16": {**built, "drift": drift}}}
    whole["built"]["int8"] = failed  # type: ignore[index]
    rows: dict[str, Any] = {
        "held": {**whole, "int8": {"fp32": 2, "lost": {"MPJPE mm": 0.25}, "faults": []}},
        "lost": {**whole, "int8": {"fp32": 0, "lost": {"MPJPE mm": 9.0}, "faults": ["x"]}},
    }
    said = page({"models": rows, "left_out": (0, 2), "first": None, "environment": {}}, 64)
    assert "| held | 2 | MPJPE mm 0.25 | yes |" in said
    assert "| lost | 0 | MPJPE mm 9.00 | no |" in said
    assert "| held | 2.5 mm | 2.5 mm |" in said
    assert "| held | in the package | 1.0 | 2.0 | 3.0 | 2.0 | 3.0 | - | - | 400 |" in said
    assert "- held in INT8: no memory" in said


@pytest.mark.parametrize("card", [card for card in load().values() if card.int8], ids=lambda card: card.name)
def test_int8_of_a_model_in_the_package_was_measured_on_its_weights(card: Card) -> None:
    assert card.int8 is not None
    assert card.int8.sha256 == card.source.sha256, "run python -m tools.precision"
