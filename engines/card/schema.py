"""Keypoint schemas: names, limbs to draw, left/right pairs. Published by name, as in `schema: "ap10k-17"`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """The order and meaning of a model's keypoints."""

    name: str
    keypoints: tuple[str, ...]
    limbs: tuple[tuple[str, str], ...]  # drawn as lines
    root: str | None = None  # of 3D joints: the one that the others are relative to

    def __len__(self) -> int:
        return len(self.keypoints)

    @property
    def edges(self) -> tuple[tuple[int, int], ...]:
        """`limbs` as keypoint indices."""
        at = {name: i for i, name in enumerate(self.keypoints)}
        return tuple((at[a], at[b]) for a, b in self.limbs)


def _both(*pairs: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    """Each limb on the left and on the right."""
    return tuple((f"{side}_{a}", f"{side}_{b}") for side in ("left", "right") for a, b in pairs)


_ARM_AND_LEG = _both(("shoulder", "elbow"), ("elbow", "wrist"), ("shoulder", "hip"), ("hip", "knee"), ("knee", "ankle"))
_TRUNK = (("left_shoulder", "right_shoulder"), ("left_hip", "right_hip"))
_COCO = (
    *("nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder"),
    *("left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip"),
    *("left_knee", "right_knee", "left_ankle", "right_ankle"),
)
_FACE = (("nose", "left_eye"), ("nose", "right_eye"), ("left_eye", "left_ear"), ("right_eye", "right_ear"))

SCHEMAS = {
    schema.name: schema
    for schema in (
        Schema(name="coco-17", keypoints=_COCO, limbs=(*_FACE, *_TRUNK, *_ARM_AND_LEG)),
        Schema(
            name="halpe-26",
            keypoints=(
                *_COCO,
                *("head", "neck", "pelvis", "left_big_toe", "right_big_toe"),
                *("left_small_toe", "right_small_toe", "left_heel", "right_heel"),
            ),
            limbs=(
                *(*_FACE, *_TRUNK, *_ARM_AND_LEG),
                *(("head", "neck"), ("neck", "pelvis")),
                *_both(("ankle", "heel"), ("ankle", "big_toe"), ("ankle", "small_toe")),
            ),
        ),
        Schema(
            name="lsp-14",
            keypoints=(
                *("right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle"),
                *(
                    "right_wrist",
                    "right_elbow",
                    "right_shoulder",
                    "left_shoulder",
                    "left_elbow",
                    "left_wrist",
                ),
                *("neck", "head_top"),
            ),
            limbs=(*_TRUNK, *_ARM_AND_LEG, ("neck", "head_top")),
        ),
        Schema(
            name="ap10k-17",
            keypoints=(
                *("left_eye", "right_eye", "nose", "neck", "root_of_tail"),
                *("left_shoulder", "left_elbow", "left_front_paw", "right_shoulder", "right_elbow"),
                *("right_front_paw", "left_hip", "left_knee", "left_back_paw"),
                *("right_hip", "right_knee", "right_back_paw"),
            ),
            limbs=(
                *(("left_eye", "nose"), ("right_eye", "nose"), ("nose", "neck"), ("neck", "root_of_tail")),
                *(("neck", "left_shoulder"), ("neck", "right_shoulder")),
                *(("root_of_tail", "left_hip"), ("root_of_tail", "right_hip")),
                *_both(("shoulder", "elbow"), ("elbow", "front_paw"), ("hip", "knee"), ("knee", "back_paw")),
            ),
        ),
        Schema(
            name="h36m-18",
            keypoints=(
                *("pelvis", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle"),
                *("torso", "neck", "nose", "head_top", "left_shoulder", "left_elbow", "left_wrist"),
                *("right_shoulder", "right_elbow", "right_wrist", "thorax"),
            ),
            limbs=(
                *(("pelvis", "torso"), ("torso", "neck"), ("neck", "nose"), ("nose", "head_top")),
                *_both(("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle")),
                *(
                    ("neck", "left_shoulder"),
                    ("neck", "right_shoulder"),
                    ("pelvis", "left_hip"),
                    ("pelvis", "right_hip"),
                ),
            ),
            root="pelvis",
        ),
        Schema(
            name="muco-21",
            keypoints=(
                *("head_top", "thorax", "right_shoulder", "right_elbow", "right_wrist"),
                *("left_shoulder", "left_elbow", "left_wrist", "right_hip", "right_knee", "right_ankle"),
                *("left_hip", "left_knee", "left_ankle", "pelvis", "spine", "head"),
                *("right_hand", "left_hand", "right_toe", "left_toe"),
            ),
            limbs=(
                *(("head_top", "head"), ("head", "thorax"), ("thorax", "spine"), ("spine", "pelvis")),
                *(("thorax", "left_shoulder"), ("thorax", "right_shoulder")),
                *(("pelvis", "left_hip"), ("pelvis", "right_hip")),
                *_both(("shoulder", "elbow"), ("elbow", "wrist"), ("wrist", "hand")),
                *_both(("hip", "knee"), ("knee", "ankle"), ("ankle", "toe")),
            ),
            root="pelvis",
        ),
    )
}
