"""Datasets by name: each is prepared from the directory that its owner keeps it in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tools.evaluate.benchmark.adapters import coco, human36m, mupots, ours, rendered
from tools.evaluate.benchmark.prepared import Prepared, Task


class Dataset(NamedTuple):
    """How to prepare one."""

    prepare: Callable[[Path], Prepared]  # from its directory
    files: str  # what must lie there
    task: Task = "plane"


DATASETS = {
    "coco": Dataset(coco.people, "annotations/person_keypoints_val2017.json and val2017/, or *coco*.json with images"),
    "ap10k": Dataset(coco.animals, "annotations/ap10k-val-split1.json and data/, or *ap10k*.json with images"),
    "lsp": Dataset(ours.lsp, "val_full.json and val_full/"),
    "horse": Dataset(ours.horses, "keypoints_val.json, boxes.json and images/"),
    "h36m-p1": Dataset(
        human36m.protocol1, "annotations/Human36M_subject11_{data,camera,joint_3d}.json and images/", "space"
    ),
    "h36m-p2": Dataset(
        human36m.protocol2, "annotations/Human36M_subject{9,11}_{data,camera,joint_3d}.json and images/", "space"
    ),
    "mupots": Dataset(mupots.people, "MuPoTS-3D.json and MultiPersonTestSet/", "space"),
    "rendered-people": Dataset(rendered.people, "nothing: it is rendered there (needs the synth extra)", "space"),
    "rendered-horses": Dataset(rendered.horses, "nothing: it is rendered there (needs the synth extra)"),
}
