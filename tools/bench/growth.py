"""How the cost of a frame grows: with the subjects posed in it, and with its size. Medians, in ms."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns

import cv2
import numpy as np

from edged.frame import U8
from edged.units import NS_PER_MS
from tools.bench.contenders import Ours

SUBJECTS = (1, 2, 4, 8, 16)
SIZES = {"360p": (640, 360), "720p": (1280, 720), "1080p": (1920, 1080), "4K": (3840, 2160)}


def by_subjects(ours: Ours, images: list[U8], runs: int) -> dict[str, float]:
    """Crop, pose and decode of so many boxes in frames of one scene."""
    return {str(count): _median_ms(_posing(ours, images, count), runs) for count in SUBJECTS}


def by_size(ours: Ours, images: list[U8], runs: int) -> dict[str, float]:
    """The whole pipeline on the same scene at several sizes."""
    costs = {}
    for name, size_wh in SIZES.items():
        grown = [np.asarray(cv2.resize(image, size_wh), np.uint8) for image in images[:8]]
        costs[name] = _median_ms(_seeing(ours, grown), runs)
    return costs


def slope_ms(costs: dict[str, float]) -> float:
    """Milliseconds per further subject, least squares."""
    return float(np.polyfit([int(count) for count in costs], list(costs.values()), 1)[0])


def _seeing(ours: Ours, images: list[U8]) -> Callable[[int], object]:
    return lambda i: ours(images[i % len(images)], images[0])


def _posing(ours: Ours, images: list[U8], count: int) -> Callable[[int], object]:
    height, width = images[0].shape[:2]
    left = np.linspace(0, 0.6 * width, count)
    boxes = np.stack([left, np.full(count, 0.1 * height), left + 0.3 * width, np.full(count, 0.9 * height)], axis=1)
    xyxy = boxes.astype(np.float32)
    return lambda i: ours.estimator.estimate(images[i % len(images)], xyxy, lambda stage: None)


def _median_ms(work: Callable[[int], object], runs: int) -> float:
    work(0)
    times = []
    for i in range(runs):
        start_ns = perf_counter_ns()
        work(i)
        times.append((perf_counter_ns() - start_ns) / NS_PER_MS)
    return float(np.median(times))
