"""How well the models of people in space do on rendered people not trained on, over photographs not trained on.

`python -m tools.train.validate_lift --data ../shared/data --portraits VAL --models DIR [--views DIR]`.

Errors in mm are of the joints that the family counts (all but the thorax), at the true depth of the root, as published
figures are. `--views` draws people of the validation photographs and their poses, from the front and from the side.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

from edged.frame import F32, F64, U8
from edged.inference.crop import Crop
from edged.inference.decode.heatmap3d import soft_argmax
from engines.card.schema import SCHEMAS
from tools.metrics.space import mpjae, mpjpe, pa_mpjpe_rigid, pa_mpjpe_similarity
from tools.nets.space import DEPTH, JOINTS, NAMES, PX_PER_BIN, SCHEMA, SIDE
from tools.synth.portraits import Portraits
from tools.train.crops import PADDING
from tools.train.lift import FILES
from tools.train.people import Photographed, Rendered, windowed
from tools.train.photographs import Photographs
from tools.train.space import SPAN_MM

COUNTED = JOINTS - 1  # the thorax is left out
ROOT = 0
LIMBS = (("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle"))


@dataclass(frozen=True, slots=True)
class Models:
    volume: onnxruntime.InferenceSession
    root: onnxruntime.InferenceSession

    @staticmethod
    def read(folder: Path) -> Models:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        sessions = (onnxruntime.InferenceSession(folder / f"{FILES[task]}.onnx", options) for task in FILES)
        return Models(*sessions)

    def joints(self, window: U8) -> F32:
        """Return x, y in px of the window (S, S, 3) BGR, and z from the root in mm: (18, 3)."""
        (volume,) = self.volume.run(None, {"image": _tensor(window)})
        bins = soft_argmax(volume, JOINTS)[0]
        return np.column_stack([bins[:, :2] * PX_PER_BIN, (bins[:, 2] / DEPTH - 0.5) * SPAN_MM]).astype(np.float32)

    def gamma(self, window: U8) -> float:
        _, gamma = self.root.run(None, {"image": _tensor(window)})
        return float(gamma[0, 0])


def _tensor(window: U8) -> F32:
    return np.ascontiguousarray(window[..., ::-1].transpose(2, 0, 1)[None], np.float32)


def measure(models: Models, portraits: Portraits, backgrounds: Photographs) -> dict[str, float]:
    """Return the errors over all portraits, whole and in their true boxes."""
    rng, rendered = np.random.default_rng(5), Rendered([portraits], backgrounds)
    found, depths = [], []
    for i in range(len(portraits)):
        person = rendered.placed(portraits, i, rng)
        window, _, gamma = windowed(person, SIDE)
        seen = models.joints(window)
        xy = Crop.around(person.xyxy, (SIDE, SIDE), PADDING).to_image(seen[:, :2])
        z = seen[:, 2] - seen[ROOT, 2] + portraits.joints_mm[i, ROOT, 2]
        fx, fy, cx, cy = portraits.lens[i]
        found.append(np.column_stack([(xy[:, 0] - cx) / fx * z, (xy[:, 1] - cy) / fy * z, z])[:COUNTED])
        depths.append((models.gamma(window) / gamma, 1 / gamma))
    truth, poses = portraits.joints_mm[:, :COUNTED], np.array(found)
    spine = truth[:, ROOT] - truth[:, NAMES.index("neck")]
    upright = spine[:, 1] > 0.7 * np.linalg.norm(spine, axis=1)
    root, box = np.abs(np.array(depths) - 1).T
    return {
        "mpjpe_mm": mpjpe(poses, truth, ROOT),
        "mpjpe_upright_mm": mpjpe(poses[upright], truth[upright], ROOT) if upright.any() else float("nan"),
        "pa_mpjpe_mm": pa_mpjpe_similarity(poses, truth),
        "pa_mpjpe_rigid_mm": pa_mpjpe_rigid(poses, truth),
        "mpjae_deg": mpjae(poses, truth, [edge for edge in SCHEMAS[SCHEMA].edges if max(edge) < COUNTED]),
        "depth_error": float(root.mean()),
        "depth_error_p68": float(np.quantile(root, 0.68)),
        "depth_error_median": float(np.median(root)),
        "depth_error_by_box": float(box.mean()),
        "depth_error_by_box_p68": float(np.quantile(box, 0.68)),
    }


def on_photographs(models: Models, source: Photographed, count: int) -> dict[str, float]:
    """Return, of people of photographs: the share of joints within 0.1 of the box's longer side, and how far the left
    limbs differ in length from the right ones, as a share; there is no truth in space."""
    rng, near, unequal = np.random.default_rng(3), list[bool](), list[float]()
    limbs = [[NAMES.index(f"{side}_{name}") for name in limb] for limb in LIMBS for side in ("left", "right")]
    for _ in range(count):
        window, joints, _ = windowed(source.draw(rng), SIDE)
        seen, known = models.joints(window), joints[:, 3] > 0
        off = np.linalg.norm(seen[known, :2] - joints[known, :2], axis=1)
        near += (off < 0.1 * SIDE / PADDING).tolist()
        mm = seen * (models.gamma(window) * SPAN_MM / SIDE, models.gamma(window) * SPAN_MM / SIDE, 1)
        left, right = np.array([np.linalg.norm(mm[a] - mm[b]) for a, b in limbs]).reshape(-1, 2).T
        unequal.append(float((np.abs(left - right) / (left + right) * 2).mean()))
    return {"joints_right_on_photographs": float(np.mean(near)), "left_from_right": float(np.mean(unequal))}


def views(models: Models, source: Photographed, count: int) -> U8:
    """Return rows of a person of a photograph, the pose over it, the pose from the front and from its left side."""
    rng, rows = np.random.default_rng(3), list[U8]()
    while len(rows) < count:
        person = source.draw(rng)
        if (person.joints[:, 3] > 0).sum() < COUNTED - 4 or np.ptp(person.xyxy.reshape(2, 2), axis=0).max() < 120:
            continue
        window, _, _ = windowed(person, SIDE)
        seen = models.joints(window)
        turned = np.column_stack([SIDE / 2 + seen[:, 2] / SPAN_MM * SIDE * 0.9, seen[:, 1]])
        blank = np.full_like(window, 255)
        rows.append(np.hstack([window, _limbs(window, seen[:, :2]), _limbs(blank, turned)]))
    columns = [np.vstack(rows[at : at + 4]) for at in range(0, count, 4)]
    return np.asarray(np.hstack(columns), np.uint8)


def _limbs(image: U8, points: F64 | F32) -> U8:
    drawn = image.copy()
    for a, b in SCHEMAS[SCHEMA].edges:
        colour = {"l": (40, 40, 230), "r": (60, 170, 40)}.get(SCHEMAS[SCHEMA].keypoints[b][0], (200, 120, 30))
        ends = [tuple(int(v) for v in points[end]) for end in (a, b)]
        cv2.line(drawn, ends[0], ends[1], colour, 2, cv2.LINE_AA)
    return drawn


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.train.validate_lift", description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--portraits", type=Path, required=True, help="made with --apart")
    parser.add_argument("--models", type=Path, required=True, help="folder of both ONNX files")
    parser.add_argument("--views", type=Path, help="image to draw into")
    parser.add_argument("--count", type=int, default=300, help="people of photographs")
    args = parser.parse_args()
    models, photographs = Models.read(args.models), Photographs.read(args.data / "real", "val")
    people = Photographed.read(args.data, "val")
    errors = measure(models, Portraits(args.portraits), photographs) | on_photographs(models, people, args.count)
    for name, value in errors.items():
        print(f"{name} {value:.3f}")
    if args.views is not None:
        cv2.imwrite(str(args.views), views(models, people, 12))


if __name__ == "__main__":
    main()
