"""Rendered people (3D) and horses (2D) with exact truth; the images are rendered into the data directory.

`people` and `horses` are in scenes; `portraits` are single people whose bodies no model learned from, over photographs
that none learned from, before cameras anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

from edged.frame import F64, U8
from engines.card.schema import SCHEMAS
from tools.evaluate.benchmark.prepared import DatasetInfo, PreparedDataset, dataset_2d, dataset_3d, whole_horses

if TYPE_CHECKING:
    from tools.synth.truth import Truth

SEED = 77  # not used for training
COUNT = 120
SIZE_WH = (640, 360)
MIN_VISIBLE = 0.6  # share of a subject that must be visible for it to count
PORTRAITS_SEED, PORTRAITS_COUNT = 2601, 240
PERSON = ("pelvis", *SCHEMAS["lsp-14"].keypoints, "nose")
MM = 1000.0
H36M = SCHEMAS["h36m-18"].keypoints[:17]  # published figures leave the thorax out


class _Row(NamedTuple):
    image: int
    truth: Truth


def people(out: Path) -> PreparedDataset:
    images, rows = _rendered(out, "person")
    info = DatasetInfo(
        name="rendered-people",
        task="3d",
        subject="person",
        joints=PERSON,
        complete=True,
        note="the pelvis is the middle of the hips; joints that are hidden or outside the image count",
    )
    space = np.array([_person_mm(row.truth) for row in rows])
    intrinsics = np.array([row.truth.lens for row in rows], float)
    return dataset_3d(info, images, _of(rows), _boxes(rows), space, intrinsics=intrinsics)


def portraits(data: Path) -> PreparedDataset:
    """Raises FileNotFoundError when the photographs for the backgrounds are missing."""
    from tools.synth.portraits import over, portrait  # noqa: PLC0415
    from tools.train.photographs import Photographs  # noqa: PLC0415

    backgrounds, rng = Photographs.read(data / "real", "val"), np.random.default_rng(PORTRAITS_SEED)
    paths, rows = [], []
    for number in range(PORTRAITS_COUNT):
        one = portrait(PORTRAITS_SEED, number, apart=True)
        behind = _square(backgrounds.image(backgrounds.rows[rng.integers(len(backgrounds.rows))]), len(one.image), rng)
        paths.append(_written(data / f"portrait-{number:04d}.png", over(one.image, behind)))
        rows.append(one)
    info = DatasetInfo(
        name="rendered-portraits",
        task="3d",
        subject="person",
        joints=H36M,
        complete=True,
        note=f"{PORTRAITS_COUNT} people whose bodies and backgrounds no model here learned from; known focal length",
    )
    space, lens = np.array([one.joints_mm[: len(H36M)] for one in rows]), np.array([one.lens for one in rows])
    boxes = np.array([one.xyxy for one in rows], float)
    return dataset_3d(info, tuple(paths), np.arange(len(rows)), boxes, space, intrinsics=lens)


def horses(out: Path) -> PreparedDataset:
    images, rows = _rendered(out, "horse")
    info = whole_horses("rendered-horses")
    points = np.array([row.truth.keypoints["ap10k-17"] for row in rows], float)
    return dataset_2d(
        info, images, _of(rows), _boxes(rows), points, area_px=np.array([float(r.truth.pixels) for r in rows])
    )


def _square(image: U8, side_px: int, rng: np.random.Generator) -> U8:
    """Return a random square part of the image, (side, side, 3)."""
    height, width = image.shape[:2]
    side = int(min(height, width) * rng.uniform(0.4, 1.0))
    x, y = int(rng.integers(width - side + 1)), int(rng.integers(height - side + 1))
    return np.asarray(cv2.resize(image[y : y + side, x : x + side], (side_px, side_px)), np.uint8)


def _written(path: Path, image: U8) -> str:
    """Return the path, after the image was written there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), image):
        raise OSError(f"{path}: could not be written; is the disk full?")
    return str(path)


def _of(rows: list[_Row]) -> Any:
    return np.array([row.image for row in rows])


def _boxes(rows: list[_Row]) -> F64:
    return np.array([row.truth.xyxy for row in rows], float)


def _person_mm(truth: Truth) -> F64:
    """Return the joints (16, 3) in the order of `PERSON`, mm."""
    body, nose = truth.space_m["lsp-14"], truth.space_m["coco-17"][:1]
    names = SCHEMAS["lsp-14"].keypoints
    hips: F64 = body[[names.index("left_hip"), names.index("right_hip")]]
    return MM * np.concatenate([hips.mean(axis=0, keepdims=True), body, nose])


def _rendered(out: Path, kind: str) -> tuple[tuple[str, ...], list[_Row]]:
    from tools.synth.scatter import picture  # noqa: PLC0415

    paths, rows = [], []
    for number in range(COUNT):
        image, truths = picture(SEED, number, SIZE_WH, kind, pinhole=True)
        paths.append(_written(out / f"{kind}-{number:04d}.png", image))
        rows += [_Row(number, truth) for truth in _counted(truths, kind)]
    return tuple(paths), rows


def _counted(truths: list[Truth], kind: str) -> Iterator[Truth]:
    yield from (truth for truth in truths if truth.kind == kind and truth.visible >= MIN_VISIBLE)
