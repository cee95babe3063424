"""A dataset in one format for all models, saved as one .npz file, so that its sources are read once."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np

from edged.frame import F64, I64, Flags
from engines.card.schema import SCHEMAS

Task = Literal["2d", "3d"]
Subject = Literal["person", "horse", "animal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetInfo:
    """Properties of the whole dataset."""

    name: str
    task: Task
    subject: Subject
    joints: tuple[str, ...]
    complete: bool  # the set of the published figures, not a sample of it
    note: str = ""
    sigmas: str = ""  # schema whose sigmas AP uses; "" when AP is not computed
    pck_length: str = ""  # the length that PCK is relative to
    pck_share: float = 0.2  # of that length
    min_visibility: int = 1  # visibility from which PCK counts a keypoint


def whole_horses(name: str) -> DatasetInfo:
    """Return the properties of a set of horses that is used whole; PCK of visible keypoints by the longer box side."""
    return DatasetInfo(
        name=name,
        task="2d",
        subject="horse",
        joints=SCHEMAS["ap10k-17"].keypoints,
        complete=True,
        sigmas="ap10k-17",
        pck_length="longer box side",
        pck_share=0.1,
        min_visibility=2,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PreparedDataset:
    """N subjects with J joints on M images."""

    info: DatasetInfo
    images: tuple[str, ...]  # (M,) paths
    image: I64  # (N,) row of `images`
    box_xyxy: F64  # (N, 4) px
    truth: F64  # (N, J, 3) 2D: x, y in px, v 0 unlabelled, 1 hidden, 2 visible; 3D: mm in the camera's frame
    evaluated: Flags  # (N,) the model is run on it; false for crowds and subjects without keypoints, which only AP uses
    crowd: Flags  # (N,)
    area_px: F64  # (N,)
    length_px: F64  # (N,) NaN: PCK is not defined for this subject
    intrinsics: F64  # (N, 4) fx, fy, cx, cy in px; NaN in 2D

    def __len__(self) -> int:
        return len(self.image)

    @property
    def key(self) -> str:
        """A hash of everything a model gets."""
        parts = [
            json.dumps([asdict(self.info), self.images]).encode(),
            *(a.tobytes() for a in self._arrays().values()),
        ]
        return hashlib.sha256(b"".join(parts)).hexdigest()[:16]

    def _arrays(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in {"info", "images"}}

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        header = json.dumps({"info": asdict(self.info), "images": self.images})
        part = path.with_suffix(".part.npz")
        np.savez_compressed(part, header=np.array(header), **self._arrays())
        part.replace(path)  # atomic

    @classmethod
    def read(cls, path: Path) -> PreparedDataset:
        with np.load(path) as file:
            header = json.loads(str(file["header"]))
            arrays = {name: file[name] for name in file.files if name != "header"}
        facts = DatasetInfo(**{**header["info"], "joints": tuple(header["info"]["joints"])})
        return cls(info=facts, images=tuple(header["images"]), **arrays)


def dataset_2d(
    info: DatasetInfo, images: tuple[str, ...], image: I64, box_xyxy: F64, truth: F64, **more: Any
) -> PreparedDataset:
    """Return a dataset without depth; `more` replaces the defaults of the other arrays."""
    count = len(image)
    defaults: dict[str, Any] = {
        "evaluated": (truth[..., 2] > 0).any(axis=1),
        "crowd": np.zeros(count, bool),
        "area_px": (box_xyxy[:, 2:] - box_xyxy[:, :2]).prod(axis=1),
        "length_px": (box_xyxy[:, 2:] - box_xyxy[:, :2]).max(axis=1),
        "intrinsics": np.full((count, 4), np.nan),
    }
    return PreparedDataset(
        info=info, images=images, image=image, box_xyxy=box_xyxy, truth=truth, **{**defaults, **more}
    )


def dataset_3d(
    info: DatasetInfo, images: tuple[str, ...], image: I64, box_xyxy: F64, truth: F64, *, intrinsics: F64
) -> PreparedDataset:
    """Return a dataset with joints in mm."""
    every = np.ones(len(image), bool)
    more = {"evaluated": every, "length_px": np.full(len(image), np.nan), "intrinsics": intrinsics}
    return dataset_2d(info, images, image, box_xyxy, truth, **more)
