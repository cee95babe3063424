"""How likely a keypoint is within tolerance, as a function of the peak of its distribution.

Source: Platt, Probabilistic outputs for support vector machines, 1999.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edged.frame import F32, F64, XY, Flags
from edged.inference.crop import Crop
from tools.metrics.logistic import fit_logistic
from tools.nets.starter import BINS_PER_PX, expected, nearness
from tools.train.crops import LABELLED, PADDING, UNKNOWN, PosedPhotographs
from tools.train.teacher import MEAN, STD

TOLERANCE = 0.1  # of the longer side of the subject's box
BATCH = 32


@dataclass(frozen=True, slots=True)
class Peaks:
    """The keypoints that a net finds in labelled subjects, in their true boxes."""

    log_peak: F64  # (M,) log of the lower expected nearness of the two highest bins
    hit: Flags  # (M,) whether the keypoint is labelled there, within TOLERANCE


@torch.no_grad()
def peaks(net: nn.Module, photographs: PosedPhotographs, size_wh: tuple[int, int]) -> Peaks:
    """Return the peaks of all keypoints whose place, or absence, is known."""
    log_peak, hit = [], []
    near = [nearness(side * BINS_PER_PX) for side in size_wh]
    for first in range(0, len(photographs.rows), BATCH):
        rows = photographs.rows[first : first + BATCH]
        crops = [Crop.around(box, size_wh, PADDING) for _, box, _ in rows]
        windows = [
            cv2.warpAffine(photographs.photographs.image(row), crop.to_net, size_wh)
            for (row, _, _), crop in zip(rows, crops, strict=True)
        ]
        images = ((np.stack(windows) - MEAN) / STD)[..., ::-1].transpose(0, 3, 1, 2).astype(np.float32)
        along = [expected(*pair).log() for pair in zip(net(torch.from_numpy(images)), near, strict=True)]
        best = torch.minimum(*(one.amax(-1) for one in along)).numpy()
        places = torch.stack([one.argmax(-1) for one in along], -1).numpy() / BINS_PER_PX
        for crop, (_, box, points), found, peak in zip(crops, rows, places, best, strict=True):
            known = points[:, 2] != UNKNOWN
            log_peak.append(peak[known])
            hit.append(_within(crop.to_image(found.astype(np.float32)), points, box)[known])
    return Peaks(np.concatenate(log_peak).astype(np.float64), np.concatenate(hit))


def _within(found: F32, points: F32, box: F32) -> Flags:
    side = float((box[2:] - box[:2]).max())
    near: Flags = np.linalg.norm(found - points[:, XY], axis=1) <= TOLERANCE * side
    return near & (points[:, 2] == LABELLED)


def fit(found: Peaks) -> tuple[float, float]:
    """Return slope and offset for which sigmoid(slope · log_peak + offset) is the share of hits."""
    slope, offset = fit_logistic(np.column_stack([found.log_peak, np.ones(len(found.hit))]), found.hit)
    return float(slope), float(offset)


def reliability(found: Peaks, slope: float, offset: float) -> list[tuple[float, float, int]]:
    """Return for ten bins of the score: its mean, the share of hits, and the number of keypoints."""
    score: NDArray[np.float64] = 1 / (1 + np.exp(-(slope * found.log_peak + offset)))
    bins = np.minimum((score * 10).astype(int), 9)
    rows = [(score[bins == i], found.hit[bins == i]) for i in range(10)]
    return [(float(s.mean()), float(h.mean()), len(s)) for s, h in rows if len(s)]
