"""Scores of predictions, over the joints that model and dataset have in common by name."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from edged.frame import F64, XY
from engines.card.schema import SCHEMAS
from tools.evaluate.benchmark.answers import Predictions
from tools.evaluate.benchmark.models import Model
from tools.evaluate.benchmark.prepared import DatasetInfo, PreparedDataset
from tools.metrics import oks, plane, space
from tools.metrics.pck import pck

LIMBS = SCHEMAS["h36m-18"].limbs  # whose directions MPJAE compares
WITHIN = 68.0  # percentile: two in three are nearer, as one standard deviation is
MIN_SCORE = 0.2  # lower keypoint scores do not enter the score of a prediction. Source: MMPose


class Score(NamedTuple):
    """Figures by name; the name has the unit: px, mm, else a share from 0 to 1."""

    figures: dict[str, float]
    joints: int  # in common
    subjects: int  # with a prediction


def headline(info: DatasetInfo) -> str:
    """Return the name of the figure by which models are ranked on a dataset."""
    return "MPJPE mm" if info.task == "3d" else _pck_name(info)


def lower_is_better(figure: str) -> bool:
    return figure.endswith((" mm", " px", " deg", " %"))


def comparable(model: Model, info: DatasetInfo) -> bool:
    """Return whether a model fits a dataset: same task, people or animals, joints in common."""
    same = model.task == info.task and (model.subject == "person") == (info.subject == "person")
    return same and bool(set(model.joints) & set(info.joints))


def score(model: Model, data: PreparedDataset, predictions: Predictions) -> Score:
    joints = tuple(joint for joint in data.info.joints if joint in model.joints)
    truth = data.truth[:, [data.info.joints.index(joint) for joint in joints]]
    found = predictions.points[:, [model.joints.index(joint) for joint in joints]]
    predicted = np.isfinite(found).all(axis=(1, 2))
    if data.info.task == "2d":
        figures = _figures_2d(data, joints, truth, found)
    else:
        figures = _figures_3d(joints, truth[predicted], found[predicted], absolute=model.absolute)
    return Score(figures, len(joints), int(predicted.sum()))


def _figures_2d(data: PreparedDataset, joints: tuple[str, ...], truth: F64, found: F64) -> dict[str, float]:
    info, xy = data.info, (found[..., XY], truth[..., XY])
    counted = (truth[..., 2] >= info.min_visibility) & data.evaluated[:, None]
    sized = counted & np.isfinite(data.length_px)[:, None]
    return {
        _pck_name(info): pck(*xy, sized, data.length_px, info.pck_share),
        f"{_pck_name(info)}, mean of joints": plane.pck_mean(*xy, sized, data.length_px, info.pck_share),
        "AUC@30px": plane.auc(*xy, counted),
        "EPE px": plane.epe(*xy, counted),
        **(_average_precision(data, joints, truth, found) if info.sigmas else {}),
    }


def _pck_name(info: DatasetInfo) -> str:
    return f"PCK@{info.pck_share} {info.pck_length}"


def _average_precision(data: PreparedDataset, joints: tuple[str, ...], truth: F64, found: F64) -> dict[str, float]:
    """Return AP and AR with true boxes; scores are means of confident keypoints. Source: MMPose."""
    rows = np.flatnonzero(data.evaluated & np.isfinite(found).all(axis=(1, 2)))
    confident = np.where(found[rows, :, 2] > MIN_SCORE, found[rows, :, 2], np.nan)
    scores = np.nansum(confident, axis=1) / np.maximum(np.isfinite(confident).sum(axis=1), 1)
    low, high = data.box_xyxy[:, :2], data.box_xyxy[:, 2:]
    truths = oks.GroundTruth(
        image=data.image,
        xyv=truth,
        box_xywh=np.concatenate([low, high - low], axis=1),
        area_px=data.area_px,
        crowd=data.crowd,
    )
    found_poses = oks.Predictions(image=data.image[rows], xy=found[rows][..., XY], score=scores)
    summary = oks.evaluate(truths, found_poses, oks.sigmas(data.info.sigmas, joints))
    return dict(zip(("AP", "AP50", "AP75", "AP medium", "AP large", "AR"), summary, strict=True))


def _figures_3d(joints: tuple[str, ...], truth: F64, found: F64, *, absolute: bool) -> dict[str, float]:
    root = joints.index("pelvis")
    figures: dict[str, float] = {}
    if not len(found):
        return figures
    if len(joints) > 1:
        figures = {
            "MPJPE mm": space.mpjpe(found, truth, root),
            "PA-MPJPE rigid mm": space.pa_mpjpe_rigid(found, truth),
            "PA-MPJPE similarity mm": space.pa_mpjpe_similarity(found, truth),
            "N-MPJPE mm": space.n_mpjpe(found, truth, root),
            "3DPCK@150": space.pck3d(found, truth, root),
            "3D AUC": space.auc3d(found, truth, root),
        }
        if limbs := [(joints.index(a), joints.index(b)) for a, b in LIMBS if a in joints and b in joints]:
            figures["MPJAE deg"] = space.mpjae(found, truth, limbs)
    if absolute:
        root_error = space.mrpe(found[:, root], truth[:, root])
        depth = np.abs(found[:, root, 2] / truth[:, root, 2] - 1)
        figures |= {
            "MRPE mm": root_error.mrpe,
            "MRPE x mm": root_error.x,
            "MRPE y mm": root_error.y,
            "MRPE z mm": root_error.z,
            "depth error %": 100 * float(depth.mean()),
            "depth error p68 %": 100 * float(np.percentile(depth, WITHIN)),
        }
    return figures
