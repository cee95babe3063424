"""Human3.6M, protocols 1 and 2, from the user's own copy in the layout of the 3DMPPE family.

Every 64th frame of subjects 9 and 11 (protocol 2, MPJPE) or 11 (protocol 1, PA-MPJPE); world joints in mm, transformed
into the camera's frame; annotated boxes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from edged.frame import F64
from engines.card.schema import SCHEMAS
from tools.evaluate.benchmark.prepared import DatasetInfo, PreparedDataset, dataset_3d

JOINTS = SCHEMAS["h36m-18"].keypoints[:17]
EVERY = 64
SUBJECTS = {"h36m-p1": (11,), "h36m-p2": (9, 11)}
WHOLE = {"h36m-p1": 2000, "h36m-p2": 8000}  # subjects of a complete copy, at least; protocol 2 has about 8 700


class _Row(NamedTuple):
    file: str
    box: list[float]
    joints_mm: F64
    intrinsics: list[float]


def protocol1(data: Path) -> PreparedDataset:
    return _prepare(data, "h36m-p1")


def protocol2(data: Path) -> PreparedDataset:
    return _prepare(data, "h36m-p2")


def _prepare(data: Path, name: str) -> PreparedDataset:
    rows = [row for subject in SUBJECTS[name] for row in _subject(data, subject)]
    box = np.array([row.box for row in rows], float)
    complete = len(rows) >= WHOLE[name]
    info = DatasetInfo(
        name=name,
        task="3d",
        subject="person",
        joints=JOINTS,
        complete=complete,
        note="" if complete else f"{len(rows)} poses, fewer than the complete protocol",
    )
    return dataset_3d(
        info,
        tuple(str(data / "images" / row.file) for row in rows),
        np.arange(len(rows)),
        np.concatenate([box[:, :2], box[:, :2] + box[:, 2:]], axis=1),
        np.array([row.joints_mm for row in rows]),
        intrinsics=np.array([row.intrinsics for row in rows], float),
    )


def _subject(data: Path, subject: int) -> Iterator[_Row]:
    frames, cameras, joints = (_read(data, subject, part) for part in ("data", "camera", "joint_3d"))
    images = {image["id"]: image for image in frames["images"]}
    for mark in frames["annotations"]:
        image = images[mark["image_id"]]
        if image["frame_idx"] % EVERY:
            continue
        camera = cameras[str(image["cam_idx"])]
        act, part, frame = (str(image[key]) for key in ("action_idx", "subaction_idx", "frame_idx"))
        yield _Row(
            image["file_name"], mark["bbox"], _to_camera(joints[act][part][frame], camera), [*camera["f"], *camera["c"]]
        )


def _to_camera(world_mm: Any, camera: dict[str, Any]) -> F64:
    """Return the joints (17, 3) in the camera's frame, mm: R x + t."""
    return np.asarray(np.array(world_mm) @ np.array(camera["R"]).T + np.array(camera["t"]).ravel())


def _read(data: Path, subject: int, part: str) -> dict[str, Any]:
    path = data / "annotations" / f"Human36M_subject{subject}_{part}.json"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: does not exist; get Human3.6M in the layout of the 3DMPPE repositories")
    read: dict[str, Any] = json.loads(path.read_text())
    return read
