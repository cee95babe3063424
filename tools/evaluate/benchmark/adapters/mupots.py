"""MuPoTS-3D from the user's own copy: `MuPoTS-3D.json` of the 3DMPPE family, joints in mm of the camera's frame.

Every valid person is evaluated in its annotated box. Poses are not rescaled to the true bone lengths, unlike in the
official MATLAB script; the report states it.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from engines.card.schema import SCHEMAS
from tools.evaluate.benchmark.prepared import DatasetInfo, PreparedDataset, dataset_3d

JOINTS = SCHEMAS["muco-21"].keypoints[:17]
WHOLE = 20_000  # people of a complete copy, at least
NOTE = "true boxes, all people, not rescaled to the bones of the truth: the official script rescales"


def people(data: Path) -> PreparedDataset:
    path = data / "MuPoTS-3D.json"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: does not exist; get MuPoTS-3D in the layout of the 3DMPPE repositories")
    document = json.loads(path.read_text())
    images = {image["id"]: image for image in document["images"]}
    rows = {id_: i for i, id_ in enumerate(images)}
    marks = [mark for mark in document["annotations"] if mark["is_valid"]]
    box = np.array([mark["bbox"] for mark in marks], float)
    info = DatasetInfo(
        name="mupots", task="3d", subject="person", joints=JOINTS, complete=len(marks) >= WHOLE, note=NOTE
    )
    return dataset_3d(
        info,
        tuple(str(data / "MultiPersonTestSet" / image["file_name"]) for image in images.values()),
        np.array([rows[mark["image_id"]] for mark in marks]),
        np.concatenate([box[:, :2], box[:, :2] + box[:, 2:]], axis=1),
        np.array([mark["keypoints_cam"] for mark in marks], float),
        intrinsics=np.array([images[mark["image_id"]]["intrinsic"] for mark in marks], float),
    )
