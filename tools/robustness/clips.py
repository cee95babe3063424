"""The clips: a rendered one with exact truth, and real pictures whose truth is a run on them undisturbed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edged.frame import U8, FrameResult
from tools.bench.frames import sway
from tools.clip_images import clip_images
from tools.robustness.score import Truth, Truths
from tools.synth.film import read_truth

SHOWS = 0.3  # share of a subject's pixels that must show for it to count
MIN_TRUE_SCORE = 0.5  # score from which a subject of the undisturbed run is taken for true
SCHEMA = {"horse": "ap10k-17", "person": "coco-17"}
FPS = 30
MIN_FRAMES = 12  # of a video that is used


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Clip:
    """Pictures in order, and the truth of each; None: a run on the undisturbed pictures is the truth."""

    name: str
    fps: float
    images: Sequence[U8]
    truth: Truths | None = None


def rendered(path: Path, count: int) -> Clip:
    images = list(islice(clip_images(path), count))
    truth = [[_truth(one) for one in frame if one["visible"] >= SHOWS] for frame in read_truth(path)][: len(images)]
    return Clip(name="rendered", fps=cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FPS), images=images, truth=truth)


def real(media: Path, count: int) -> Iterator[Clip]:
    """Videos, and photographs with a swaying camera."""
    for video in sorted(media.glob("*.mp4")):
        if len(images := list(islice(clip_images(video), count))) >= MIN_FRAMES:
            yield Clip(name=f"real: {video.stem}", fps=FPS, images=images)
    for photograph in sorted([*media.glob("coco*.jpg"), *media.glob("ap10k*.jpg")]):
        image = np.asarray(cv2.imread(str(photograph)), np.uint8)
        yield Clip(name=f"real: {photograph.stem}", fps=FPS, images=[sway(image, step) for step in range(count)])


def reference(results: Sequence[FrameResult], scores: Callable[[str], float]) -> Truths:
    """The confident subjects of a run, as truth; `scores` gives the least score of a keypoint, by class."""
    return [
        [
            Truth(number=one.id, kind=one.label, xyxy=one.xyxy, keypoints=_confident(one.keypoints, scores(one.label)))
            for one in result.subjects
            if one.score >= MIN_TRUE_SCORE
        ]
        for result in results
    ]


def _confident(keypoints: Any, min_score: float) -> Any:
    if keypoints is None:
        return None
    counts = np.isfinite(keypoints).all(axis=1) & (keypoints[:, 2] >= min_score)
    return np.concatenate([keypoints[:, :2], counts[:, None]], axis=1).astype(np.float32)


def _truth(one: dict[str, Any]) -> Truth:
    keypoints = np.array(one["keypoints"][SCHEMA[one["class"]]], np.float32)
    keypoints[:, 2] = keypoints[:, 2] == 2  # visible ones count
    return Truth(number=one["id"], kind=one["class"], xyxy=np.array(one["box"], np.float32), keypoints=keypoints)
