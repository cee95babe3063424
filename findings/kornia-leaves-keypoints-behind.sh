#!/bin/sh
# kornia 0.9.0 (torch 2.13.0): AugmentationSequential with data_keys moves images, keypoints and boxes together by
# rotations, crops, resizes and perspectives. RandomThinPlateSpline, RandomFisheye and RandomElasticTransform bend the
# image alone and leave keypoints and boxes as they were, without a warning: the labels that a network learns from are
# as far off as the image was bent. (Of a mask the first two say that they cannot.)
#
# Seen (a spot of 3 x 3 pixels at 21, 11; how far spot, keypoint and the middle of the box moved, in pixels):
#   RandomRotation: 6.2, 6.2, 6.2
#   RandomThinPlateSpline: 1.4, 0.0, 0.0
#   RandomFisheye: 3.9, 0.0, 0.0
#   RandomElasticTransform: 8.1, 0.0, 0.0
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 kornia==0.9.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import warnings

import torch
from kornia import augmentation

START = torch.tensor([21.0, 11.0])
spot = torch.zeros(1, 1, 40, 60)
spot[..., 10:13, 20:23] = 1
box = torch.tensor([[[20.0, 10, 22, 12]]])


def middle(image):
    weights = image[0, 0] / image.sum()
    columns, rows = torch.arange(weights.shape[1]), torch.arange(weights.shape[0])
    return torch.stack([(weights.sum(0) * columns).sum(), (weights.sum(1) * rows).sum()])


degrees = (30.0, 30.0)
some = torch.tensor([-0.1, 0.1])
for transform, bends in (
    (augmentation.RandomRotation(degrees, p=1.0), False),
    (augmentation.RandomThinPlateSpline(p=1.0), True),
    (augmentation.RandomFisheye(some, some, torch.tensor([0.5, 0.9]), p=1.0), True),
    (augmentation.RandomElasticTransform(alpha=(20.0, 20.0), p=1.0), True),
):
    torch.manual_seed(1)
    every = augmentation.AugmentationSequential(transform, data_keys=["input", "keypoints", "bbox_xyxy"])
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        image, keypoint, corners = every(spot, START[None, None].clone(), box.clone())
    places = middle(image), keypoint.reshape(2), corners.reshape(2, 2).mean(0)
    moved = [(place - START).norm().item() for place in places]
    print(f"{type(transform).__name__}: {', '.join(f'{way:.1f}' for way in moved)}")
    if bends:
        assert moved[0] > 1 and moved[1:] == [0, 0] and not warned, (moved, warned)
    else:
        assert max(moved) - min(moved) < 0.2 and moved[0] > 1, moved
PYTHON
