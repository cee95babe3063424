"""Photographs of standing horses are labelled standing, and never lateral."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from edged.behaviour.horse.features import extract_features
from edged.behaviour.horse.keypoints import KeypointObservation
from edged.behaviour.horse.posture import classify_posture
from edged.frame import F64
from edged.inference.cpu.backend import PoseEstimator
from edged.inference.cpu.onnxruntime import OrtSession
from engines.catalogue import load

ROOT = Path(__file__).parents[2]
HORSES = ROOT.parent / "shared/data/horse"

pytestmark = pytest.mark.skipif(not HORSES.is_dir(), reason=f"{HORSES} is not on this machine")

Box = tuple[float, float, float, float]


def labels(observations: list[KeypointObservation]) -> Counter[str]:
    """Posture labels, of the horses with enough legs in view."""
    shown = [extract_features(one) for one in observations]
    return Counter(classify_posture(one) for one in shown if not np.isnan(one.leg_reach))


def boxes() -> dict[str, Box]:
    table = json.loads((HORSES / "boxes.json").read_text())
    return {name: tuple(box) for name, box in table.items()}


def test_standing_horses_with_labelled_keypoints_are_standing() -> None:
    keypoints: dict[str, F64] = {}
    for part in ("train", "val"):
        keypoints |= json.loads((HORSES / f"keypoints_{part}.json").read_text())
    where = boxes()
    votes = labels(
        [
            KeypointObservation.from_keypoints(0.0, np.array(points, np.float64), where[name], 0.5)
            for name, points in keypoints.items()
        ]
    )
    assert votes.total() > 150
    assert votes["standing"] / votes.total() >= 0.95
    assert votes["lateral"] == 0


def test_standing_horses_with_our_models_keypoints_are_standing() -> None:
    card = load()["rtmpose-t-ap10k-horse"]
    assert card.pose is not None
    pose = PoseEstimator(OrtSession(card, ROOT / "engines/starter/rtmpose_horse_t.onnx"))
    observations = []
    for name, box in list(boxes().items())[::3]:
        image = cv2.imread(str(HORSES / "images" / f"{name}.jpg"))
        if image is not None:
            found = pose.estimate(np.asarray(image, np.uint8), np.array([box], np.float32), lambda _: None)[0]
            observations.append(KeypointObservation.from_keypoints(0.0, found, box, card.pose.score))
    votes = labels(observations)
    assert votes.total() > 80
    assert votes["standing"] / votes.total() >= 0.95
    assert votes["lateral"] / votes.total() <= 0.02  # of single looks; a posture needs more of them
