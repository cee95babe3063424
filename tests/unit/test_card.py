"""A card against a live model's tensors: the first difference is named."""

import pytest

from engines.card import Axis, Card, Detect, Source
from engines.catalogue import load
from engines.errors import CardError

CARD = load()["rtmpose-t-lsp14"]
INPUTS: dict[str, tuple[Axis, ...]] = {"input": (None, 3, 256, 192)}
OUTPUTS: dict[str, tuple[Axis, ...]] = {"simcc_x": (None, 14, 384), "simcc_y": (None, 14, 512)}


def test_tensors_as_on_the_card_are_accepted() -> None:
    CARD.describes(INPUTS, OUTPUTS)


def test_dynamic_length_is_accepted() -> None:
    CARD.describes({"input": (1, 3, None, None)}, OUTPUTS | {"simcc_x": (None, None, 384)})


def test_output_missing_on_the_card_is_accepted() -> None:
    CARD.describes(INPUTS, OUTPUTS | {"debug": (1,)})


@pytest.mark.parametrize(
    ("inputs", "outputs", "message"),
    [
        ({"image": (None, 3, 256, 192)}, OUTPUTS, r"no input 'input'; the file has \['image'\]"),
        ({"input": (None, 3, 192, 256)}, OUTPUTS, r"input 'input' is \(None, 3, 192, 256\), the card says"),
        (INPUTS | {"scale": (1,)}, OUTPUTS, r"inputs \['scale'\] are not in the card"),
        (INPUTS, {"simcc_x": (None, 14, 384)}, r"no output 'simcc_y'"),
        (INPUTS, OUTPUTS | {"simcc_y": (None, 14)}, r"output 'simcc_y' is \(None, 14\), the card says"),
        (INPUTS, OUTPUTS | {"simcc_x": (None, 17, 384)}, r"output 'simcc_x' is \(None, 17, 384\).*Correct the card"),
    ],
    ids=["input name", "input size", "second input", "output missing", "rank", "keypoints"],
)
def test_difference_is_named(
    inputs: dict[str, tuple[Axis, ...]], outputs: dict[str, tuple[Axis, ...]], message: str
) -> None:
    with pytest.raises(CardError, match=f"model rtmpose-t-lsp14: {message}"):
        CARD.describes(inputs, outputs)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({}, "exactly one of bundled, url, export"),
        ({"url": "https://a/b.onnx", "export": "make it"}, "exactly one of"),
        ({"url": "https://a/b.zip"}, "needs `member`"),
        ({"url": "https://a/b.onnx", "member": "c.onnx"}, "only a .zip"),
        ({"url": "ftp://a/b.onnx"}, "https"),
        ({"url": "http://a/b.onnx", "sha256": "0" * 64}, "https"),
        ({"url": "https://a/b.onnx"}, "needs its sha256"),
        ({"bundled": "starter/a.onnx"}, "needs its sha256"),
        ({"bundled": "../a.onnx", "sha256": "0" * 64}, "pattern"),
    ],
)
def test_source_has_exactly_one_reachable_place(source: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Source.model_validate(source)


def test_class_list_may_be_given_by_name() -> None:
    detect = {"score": 0.3, "nms_iou": 0.5, "scores": {"horse": 0.4}}
    assert Detect.model_validate(detect | {"classes": "coco-80"}).classes[17] == "horse"
    with pytest.raises(ValueError, match=r"one of \['coco-80'\]"):
        Detect.model_validate(detect | {"classes": "coco-81"})
    with pytest.raises(ValueError, match=r"\['horse'\] not among classes \['person'\]"):
        Detect.model_validate(detect | {"classes": ["person"]})


@pytest.mark.parametrize("card", [card for card in load().values() if card.detect], ids=lambda card: card.name)
def test_detector_has_a_box_and_a_score_per_anchor(card: Card) -> None:
    assert card.detect is not None
    classes, (width, height) = len(card.detect.classes), card.input.size_wh
    cells = [(height // s, width // s) for s in card.detect.strides]
    anchors = sum(h * w for h, w in cells)
    heads = [(None, n, h, w) for n in (classes, 4) for h, w in cells]
    wanted: dict[str, list[tuple[Axis, ...]]] = {
        "rtmdet": [*heads],
        "rtmdet-end2end": [(None, None, 5), (None, None)],
        "yolox": [(None, anchors, 5 + classes)],
        "yolov8": [(None, 4 + classes, anchors)],
    }
    assert [output.shape for output in card.outputs] == wanted[card.family]
