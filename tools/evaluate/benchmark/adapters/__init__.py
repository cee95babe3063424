"""Datasets by name: each is prepared from a local directory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tools.evaluate.benchmark.adapters import coco, human36m, mupots, ours, rendered
from tools.evaluate.benchmark.prepared import PreparedDataset, Task


class Dataset(NamedTuple):
    """How a dataset is prepared."""

    prepare: Callable[[Path], PreparedDataset]  # from its directory
    files: str  # required in the directory
    task: Task = "2d"


DATASETS = {
    "coco": Dataset(coco.people, "annotations/person_keypoints_val2017.json and val2017/, or *coco*.json with images"),
    "ap10k": Dataset(coco.animals, "annotations/ap10k-val-split1.json and data/, or *ap10k*.json with images"),
    "lsp": Dataset(ours.lsp, "val_full.json and val_full/"),
    "horse": Dataset(ours.horses, "keypoints_val.json, boxes.json and images/"),
    "h36m-p1": Dataset(
        human36m.protocol1, "annotations/Human36M_subject11_{data,camera,joint_3d}.json and images/", "3d"
    ),
    "h36m-p2": Dataset(
        human36m.protocol2, "annotations/Human36M_subject{9,11}_{data,camera,joint_3d}.json and images/", "3d"
    ),
    "mupots": Dataset(mupots.people, "MuPoTS-3D.json and MultiPersonTestSet/", "3d"),
    "rendered-people": Dataset(rendered.people, "none: the images are rendered there (needs the synth extra)", "3d"),
    "rendered-portraits": Dataset(
        rendered.portraits, "real/, the photographs behind people rendered there (needs the synth extra)", "3d"
    ),
    "rendered-horses": Dataset(rendered.horses, "none: the images are rendered there (needs the synth extra)"),
}
