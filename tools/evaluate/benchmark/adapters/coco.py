"""COCO keypoints and AP-10K, complete or a sample, from annotations in COCO's format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from engines.card.schema import SCHEMAS
from tools.evaluate.benchmark.prepared import DatasetInfo, PreparedDataset, Subject, dataset_2d

VAL2017_IMAGES, AP10K_VAL_IMAGES = 5000, 1900  # a copy with fewer is a sample


def people(data: Path) -> PreparedDataset:
    return _prepare(data, "coco", "person", "coco-17", VAL2017_IMAGES)


def animals(data: Path) -> PreparedDataset:
    return _prepare(data, "ap10k", "animal", "ap10k-17", AP10K_VAL_IMAGES)


def _prepare(data: Path, name: str, subject: Subject, schema: str, whole_from: int) -> PreparedDataset:
    path = _annotations(data, name)
    document = json.loads(path.read_text())
    images = {image["id"]: image["file_name"] for image in document["images"]}
    rows, marks = {id_: i for i, id_ in enumerate(images)}, document["annotations"]
    box = np.array([mark["bbox"] for mark in marks], float)
    truth = np.array([mark["keypoints"] for mark in marks], float).reshape(len(marks), -1, 3)
    crowd = np.array([bool(mark["iscrowd"]) for mark in marks])
    complete = len(images) >= whole_from
    info = DatasetInfo(
        name=name,
        task="2d",
        subject=subject,
        joints=SCHEMAS[schema].keypoints,
        complete=complete,
        note="" if complete else f"a sample of {len(images)} images: its figures are not those of the complete set",
        sigmas=schema,
        pck_length="longer box side",
        pck_share=0.1,
    )
    return dataset_2d(
        info,
        tuple(str(_found(data, path.parent, file)) for file in images.values()),
        np.array([rows[mark["image_id"]] for mark in marks]),
        np.concatenate([box[:, :2], box[:, :2] + box[:, 2:]], axis=1),
        truth,
        crowd=crowd,
        evaluated=(truth[..., 2] > 0).any(axis=1) & ~crowd,
        area_px=np.array([_area(mark) for mark in marks]),
    )


def _annotations(data: Path, name: str) -> Path:
    wanted = {"coco": "*keypoints_val2017.json", "ap10k": "*ap10k-val-split1.json"}[name]
    for pattern in (f"**/{wanted}", f"*{name}*.json"):
        if files := sorted(data.glob(pattern)):
            return files[0]
    raise FileNotFoundError(f"{data}: no {wanted} below it; point --data {name}= at the directory that holds it")


def _found(data: Path, folder: Path, file: str) -> Path:
    """Return the path of an image in the published trees, or with the name of the dataset as a prefix."""
    places = [data / "val2017" / file, data / "data" / file, data / "images" / file, folder / file]
    for place in places:
        if place.is_file():
            return place
    if named := sorted(data.glob(f"*_{file}")):
        return named[0]
    raise FileNotFoundError(f"{data}: annotated image {file} does not exist; searched {', '.join(map(str, places))}")


def _area(mark: dict[str, Any]) -> float:
    """Return the annotated area, px², or else that of the box."""
    return float(mark.get("area") or mark["bbox"][2] * mark["bbox"][3])
