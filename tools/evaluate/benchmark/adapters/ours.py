"""Leeds Sports Poses and Weizmann horses, as annotated for this project."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from edged.frame import XY
from engines.card.schema import SCHEMAS
from tools.evaluate.benchmark.prepared import DatasetInfo, PreparedDataset, dataset_2d, whole_horses
from tools.metrics.pck import torso

TORSO = (8, 3)  # right shoulder, left hip


def lsp(data: Path) -> PreparedDataset:
    """Return LSP with the tight boxes of the visible joints; PCK by the torso, where both of its ends are visible."""
    marks = json.loads((data / "val_full.json").read_text())
    joints = np.array(list(marks.values()), float)
    seen = joints[..., 2] > 0
    length_px, whole = torso(joints[..., XY], seen, TORSO)
    low = np.where(seen[..., None], joints[..., XY], np.inf).min(axis=1)
    high = np.where(seen[..., None], joints[..., XY], -np.inf).max(axis=1)
    names = SCHEMAS["lsp-14"].keypoints
    info = DatasetInfo(
        name="lsp", task="2d", subject="person", joints=names, complete=True, pck_length="torso", pck_share=0.2
    )
    return dataset_2d(
        info,
        tuple(str(data / "val_full" / name) for name in marks),
        np.arange(len(marks)),
        np.concatenate([low, high], axis=1),
        np.concatenate([joints[..., XY], 2.0 * seen[..., None]], axis=-1),
        length_px=np.where((whole == seen).all(axis=1), length_px, np.nan),
    )


def horses(data: Path) -> PreparedDataset:
    """Return Weizmann horses with the boxes of their silhouettes; PCK of visible keypoints by the longer box side."""
    marks = json.loads((data / "keypoints_val.json").read_text())
    boxes = json.loads((data / "boxes.json").read_text())
    files = {path.stem: str(path) for path in (data / "images").iterdir()}
    info = whole_horses("horse")
    box = np.array([boxes[name] for name in marks], float)
    return dataset_2d(
        info, tuple(files[name] for name in marks), np.arange(len(marks)), box, np.array(list(marks.values()), float)
    )
