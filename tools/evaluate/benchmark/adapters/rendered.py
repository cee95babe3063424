"""Rendered people in space and horses in the plane, with exact truth; pictures are made where they are wanted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

from edged.frame import F64
from engines.card.schema import SCHEMAS
from tools.evaluate.benchmark.prepared import Facts, Prepared, in_plane, in_space

if TYPE_CHECKING:
    from tools.synth.truth import Truth

SEED = 77  # not one that anything was trained on
COUNT = 120
SIZE_WH = (640, 360)
SHOWS = 0.6  # share of a subject that must show for it to count
PERSON = ("pelvis", *SCHEMAS["lsp-14"].keypoints, "nose")
MM = 1000.0


class _Row(NamedTuple):
    image: int
    truth: Truth


def people(out: Path) -> Prepared:
    images, rows = _rendered(out, "person")
    facts = Facts(
        name="rendered-people",
        task="space",
        subject="person",
        joints=PERSON,
        whole=True,
        note="the pelvis is the middle of the hips; joints that are hidden or beyond the picture count",
    )
    space = np.array([_person_mm(row.truth) for row in rows])
    lens = np.array([row.truth.lens for row in rows], float)
    return in_space(facts, images, _of(rows), _boxes(rows), space, lens=lens)


def horses(out: Path) -> Prepared:
    images, rows = _rendered(out, "horse")
    facts = Facts(
        name="rendered-horses",
        task="plane",
        subject="horse",
        joints=SCHEMAS["ap10k-17"].keypoints,
        whole=True,
        sigmas="ap10k-17",
        length="longer box side",
        share=0.1,
        counts_from=2,
    )
    points = np.array([row.truth.keypoints["ap10k-17"] for row in rows], float)
    return in_plane(
        facts, images, _of(rows), _boxes(rows), points, area_px=np.array([float(r.truth.pixels) for r in rows])
    )


def _of(rows: list[_Row]) -> Any:
    return np.array([row.image for row in rows])


def _boxes(rows: list[_Row]) -> F64:
    return np.array([row.truth.xyxy for row in rows], float)


def _person_mm(truth: Truth) -> F64:
    """(16, 3) in the order of `PERSON`."""
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
            raise OSError(f"{path}: could not be written; is there room?")
        paths.append(str(path))
        rows += [_Row(number, truth) for truth in _counted(truths, kind)]
    return tuple(paths), rows


def _counted(truths: list[Truth], kind: str) -> Iterator[Truth]:
    yield from (truth for truth in truths if truth.kind == kind and truth.visible >= SHOWS)
