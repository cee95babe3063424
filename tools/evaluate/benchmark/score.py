"""Answers against the truth, over the joints that the model and the data have in common by name."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from edged.frame import F64, XY
from tools.evaluate.benchmark.answers import Said
from tools.evaluate.benchmark.models import Model
from tools.evaluate.benchmark.prepared import Facts, Prepared
from tools.evaluate.metrics import oks, plane, space
from tools.evaluate.pck import pck

SURE = 0.2  # keypoints below say nothing of how good an answer is


class Score(NamedTuple):
    """Figures by name: shares from 0 to 1, px or mm as the name says."""

    figures: dict[str, float]
    joints: int  # in common
    subjects: int  # that were asked about and answered


def headline(facts: Facts) -> str:
    """The figure by which a dataset's models are compared."""
    return "MPJPE mm" if facts.task == "space" else _pck_name(facts)


def lower_is_better(figure: str) -> bool:
    return figure.endswith((" mm", " px"))


def comparable(model: Model, facts: Facts) -> bool:
    """Same task, people with people, animals with animals, and joints in common."""
    same = model.task == facts.task and (model.subject == "person") == (facts.subject == "person")
    return same and bool(set(model.joints) & set(facts.joints))


def score(model: Model, data: Prepared, said: Said) -> Score:
    joints = tuple(joint for joint in data.facts.joints if joint in model.joints)
    truth = data.truth[:, [data.facts.joints.index(joint) for joint in joints]]
    found = said.points[:, [model.joints.index(joint) for joint in joints]]
    answered = np.isfinite(found).all(axis=(1, 2))
    if data.facts.task == "plane":
        figures = _in_plane(data, joints, truth, found)
    else:
        figures = _in_space(joints, truth[answered], found[answered], absolute=model.absolute)
    return Score(figures, len(joints), int(answered.sum()))


def _in_plane(data: Prepared, joints: tuple[str, ...], truth: F64, found: F64) -> dict[str, float]:
    facts, xy = data.facts, (found[..., XY], truth[..., XY])
    counted = (truth[..., 2] >= facts.counts_from) & data.asked[:, None]
    sized = counted & np.isfinite(data.length_px)[:, None]
    return {
        _pck_name(facts): pck(*xy, sized, data.length_px, facts.share),
        f"{_pck_name(facts)}, mean of joints": plane.pck_mean(*xy, sized, data.length_px, facts.share),
        "AUC@30px": plane.auc(*xy, counted),
        "EPE px": plane.epe(*xy, counted),
        **(_precision(data, joints, truth, found) if facts.sigmas else {}),
    }


def _pck_name(facts: Facts) -> str:
    return f"PCK@{facts.share} {facts.length}"


def _precision(data: Prepared, joints: tuple[str, ...], truth: F64, found: F64) -> dict[str, float]:
    """AP as MMPose states it: true boxes, an answer's score the mean of its sure keypoints'."""
    rows = np.flatnonzero(data.asked & np.isfinite(found).all(axis=(1, 2)))
    sure = np.where(found[rows, :, 2] > SURE, found[rows, :, 2], np.nan)
    worth = np.nansum(sure, axis=1) / np.maximum(np.isfinite(sure).sum(axis=1), 1)
    low, high = data.box_xyxy[:, :2], data.box_xyxy[:, 2:]
    truths = oks.Truths(
        image=data.image,
        xyv=truth,
        box_xywh=np.concatenate([low, high - low], axis=1),
        area_px=data.area_px,
        crowd=data.crowd,
    )
    answers = oks.Answers(image=data.image[rows], xy=found[rows][..., XY], score=worth)
    summary = oks.evaluate(truths, answers, oks.sigmas(data.facts.sigmas, joints))
    return dict(zip(("AP", "AP50", "AP75", "AP medium", "AP large", "AR"), summary, strict=True))


def _in_space(joints: tuple[str, ...], truth: F64, found: F64, *, absolute: bool) -> dict[str, float]:
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
    if absolute:
        off = space.mrpe(found[:, root], truth[:, root])
        figures |= {"MRPE mm": off.mrpe, "MRPE x mm": off.x, "MRPE y mm": off.y, "MRPE z mm": off.z}
    return figures
