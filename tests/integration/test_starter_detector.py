"""The bundled detector on images without a subject and with one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("cv2", reason="needs OpenCV; install edged[cpu]")
pytest.importorskip("onnxruntime", reason="needs ONNX Runtime; install edged[cpu]")

import cv2

from edged.frame import U8
from edged.inference.cpu.backend import Detector
from edged.inference.cpu.onnxruntime import OrtSession
from engines.catalogue import load
from engines.store.model_store import ModelStore

STILLS = Path(__file__).parents[2] / "tools" / "synth" / "stills"
RAMP = np.tile(np.linspace(0, 255, 640, dtype=np.uint8)[None, :, None], (480, 1, 3))
NOISE = np.random.default_rng(0).integers(0, 256, (480, 640, 3)).astype(np.uint8)


def found(image: U8) -> set[str]:
    """The classes seen at the thresholds that the card gives."""
    card = load(None)["det-person-horse"]
    assert card.detect is not None
    detector = Detector(OrtSession(card, ModelStore(Path("absent")).path(card)))
    detector.letterbox(image)
    limits = [card.detect.scores.get(name, card.detect.score) for name in card.detect.classes]
    boxes = detector.detect(np.array(limits, np.float32), lambda stage: None)
    return {card.detect.classes[label] for label in boxes.label}


@pytest.mark.parametrize("grey", [0, 64, 128, 200, 255])
def test_detector_finds_nothing_in_a_plain_image(grey: int) -> None:
    assert found(np.full((480, 640, 3), grey, np.uint8)) == set()


@pytest.mark.parametrize("image", [RAMP, RAMP[:, ::-1].copy(), NOISE], ids=["ramp", "ramp back", "noise"])
def test_detector_finds_nothing_in_a_ramp_or_in_noise(image: U8) -> None:
    assert found(image) == set()


@pytest.mark.parametrize("still", ["stall_by_day", "stall_by_night", "rising"])
def test_detector_finds_a_standing_lying_and_rising_horse(still: str) -> None:
    image = cv2.imread(str(STILLS / f"{still}.webp"))
    assert image is not None
    assert "horse" in found(np.asarray(image, np.uint8))


def test_detector_finds_who_is_in_the_readmes_picture() -> None:
    image = cv2.imread(str(STILLS / "paddock.webp"))
    assert image is not None
    assert found(np.asarray(image, np.uint8)) == {"person", "horse"}
