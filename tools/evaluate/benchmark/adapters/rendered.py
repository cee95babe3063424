"""Rendered people (3D) and horses (2D) with exact truth; the images are rendered into the data directory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

from edged.frame import F64
from engines.card.schema import SCHEMAS
from tools.evaluate.benchmark.prepared import DatasetInfo, PreparedDataset, dataset_2d, dataset_3d

if TYPE_CHECKING:
    from tools.synth.truth import Truth

SEED = 77  # not used for training
COUNT = 120
SIZE_WH = (640, 360)
MIN_VISIBLE = 0.6  # share of a subject that must be visible for it to count
PERSON = ("pelvis", *SCHEMAS["lsp-14"].keypoints, "nose")
MM = 1000.0


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


def horses(out: Path) -> PreparedDataset:
    images, rows = _rendered(out, "horse")
    info = DatasetInfo(
        name="rendered-horses",
        task="2d",
        subject="horse",
        joints=SCHEMAS["ap10k-17"].keypoints,
        complete=True,
        sigmas="ap10k-17",
        pck_length="longer box side",
        pck_share=0.1,
        min_visibility=2,
    )
    points = np.array([row.truth.keypoints["ap10k-17"] for row in rows], float)
    return dataset_2d(
        info, images, _of(rows), _boxes(rows), points, area_px=np.array([float(r.truth.pixels) for r in rows])
    )


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

    out.mkdir(parents=True, exist_ok=True)
    paths, rows = [], []
    for number in range(COUNT):
        image, truths = picture(SEED, number, SIZE_WH, kind, pinhole=True)
        path = out / f"{kind}-{number:04d}.png"
        if not cv2.imwrite(str(path), image):
            raise OSError(f"{path}: could not be written; is the disk full?")
        paths.append(str(path))
        rows += [_Row(number, truth) for truth in _counted(truths, kind)]
    return tuple(paths), rows


def _counted(truths: list[Truth], kind: str) -> Iterator[Truth]:
    yield from (truth for truth in truths if truth.kind == kind and truth.visible >= MIN_VISIBLE)
