"""A dataset as every model is asked about it, whatever files it came in; kept as one .npz, so that it is read once."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np

from edged.frame import F64, I64, Flags

Task = Literal["plane", "space"]
Subject = Literal["person", "horse", "animal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What holds for the whole dataset."""

    name: str
    task: Task
    subject: Subject
    joints: tuple[str, ...]
    whole: bool  # the set that published figures are about, not a sample of it
    note: str = ""
    sigmas: str = ""  # schema whose sigmas AP takes; "" when AP is not stated here
    length: str = ""  # what PCK's length is
    share: float = 0.2  # of it
    counts_from: int = 1  # visibility from which PCK counts a keypoint


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prepared:
    """N subjects with J joints on M images."""

    facts: Facts
    images: tuple[str, ...]  # (M,) paths
    image: I64  # (N,) row of `images`
    box_xyxy: F64  # (N, 4) px
    truth: F64  # (N, J, 3) plane: x, y in px and v, 0 unlabelled, 1 hidden, 2 visible; space: mm in the camera's frame
    asked: Flags  # (N,) the model is asked; false for crowds and what has no keypoint, which only AP must know of
    crowd: Flags  # (N,)
    area_px: F64  # (N,)
    length_px: F64  # (N,) NaN: PCK cannot be said of this subject
    lens: F64  # (N, 4) fx, fy, cx, cy in px; NaN in the plane

    def __len__(self) -> int:
        return len(self.image)

    @property
    def key(self) -> str:
        """Changes with anything a model is asked."""
        parts = [
            json.dumps([asdict(self.facts), self.images]).encode(),
            *(a.tobytes() for a in self._arrays().values()),
        ]
        return hashlib.sha256(b"".join(parts)).hexdigest()[:16]

    def _arrays(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in {"facts", "images"}}

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        words = json.dumps({"facts": asdict(self.facts), "images": self.images})
        part = path.with_suffix(".part.npz")
        np.savez_compressed(part, words=np.array(words), **self._arrays())
        part.replace(path)  # whole, or not there

    @classmethod
    def read(cls, path: Path) -> Prepared:
        with np.load(path) as file:
            words = json.loads(str(file["words"]))
            arrays = {name: file[name] for name in file.files if name != "words"}
        facts = Facts(**{**words["facts"], "joints": tuple(words["facts"]["joints"])})
        return cls(facts=facts, images=tuple(words["images"]), **arrays)


def in_plane(facts: Facts, images: tuple[str, ...], image: I64, box_xyxy: F64, truth: F64, **more: Any) -> Prepared:
    """A dataset without depth; what is not given is the ordinary case."""
    count = len(image)
    usual: dict[str, Any] = {
        "asked": (truth[..., 2] > 0).any(axis=1),
        "crowd": np.zeros(count, bool),
        "area_px": (box_xyxy[:, 2:] - box_xyxy[:, :2]).prod(axis=1),
        "length_px": (box_xyxy[:, 2:] - box_xyxy[:, :2]).max(axis=1),
        "lens": np.full((count, 4), np.nan),
    }
    return Prepared(facts=facts, images=images, image=image, box_xyxy=box_xyxy, truth=truth, **{**usual, **more})


def in_space(facts: Facts, images: tuple[str, ...], image: I64, box_xyxy: F64, truth: F64, *, lens: F64) -> Prepared:
    """A dataset in mm."""
    every = np.ones(len(image), bool)
    more = {"asked": every, "length_px": np.full(len(image), np.nan), "lens": lens}
    return in_plane(facts, images, image, box_xyxy, truth, **more)
