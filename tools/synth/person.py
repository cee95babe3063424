"""A person of 1.78 m: bones, flesh, clothes, joints of LSP-14, COCO-17 and Human3.6M's 18.

x forward, y left, z up, in m; arms spread.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np

from engines.card.schema import SCHEMAS
from tools.synth import flesh, geometry
from tools.synth.body import Body, Point, skins, tied
from tools.synth.flesh import Cone, both, cone_depths
from tools.synth.geometry import RGB, Mesh, Stuff, linear
from tools.synth.skeleton import Bone, Skeleton, Skin, skin
from tools.synth.types import F32, I32

XYZ: TypeAlias = tuple[float, float, float]
GRID_M = 0.0165
SHAPES = 8  # different bodies; each is polygonised once per process and head wear
ARM_M = 1.43  # height of the spread arms

_LIMBS = (
    ("arm", "chest", (0.0, 0.17, ARM_M)),
    ("forearm", "arm", (0.0, 0.45, ARM_M)),
    ("hand", "forearm", (0.0, 0.70, ARM_M)),
    ("thigh", "hips", (0.0, 0.09, 0.92)),
    ("calf", "thigh", (0.01, 0.10, 0.50)),
    ("foot", "calf", (-0.02, 0.105, 0.085)),
)


def _limb_bones(side: str) -> list[Bone]:
    y, limbs = (1 if side == "left" else -1), {name for name, _, _ in _LIMBS}
    return [
        Bone(name=f"{side}_{name}", parent=f"{side}_{up}" if up in limbs else up, joint=(x, y * dy, z))
        for name, up, (x, dy, z) in _LIMBS
    ]


SKELETON = Skeleton(
    [
        Bone(name="hips", parent=None, joint=(0.0, 0.0, 0.95)),
        Bone(name="waist", parent="hips", joint=(0.0, 0.0, 1.06)),
        Bone(name="chest", parent="waist", joint=(0.0, 0.0, 1.22)),
        Bone(name="neck", parent="chest", joint=(-0.01, 0.0, 1.49)),
        Bone(name="head", parent="neck", joint=(0.0, 0.0, 1.57)),
        *_limb_bones("left"),
        *_limb_bones("right"),
    ]
)

# Cones, each with its covering.
_MIDDLE = [
    ("trousers", Cone("hips", (0, 0, 0.94), (0, 0, 1.02), 0.105, 0.108, 1.5)),
    ("top", Cone("waist", (0, 0, 1.04), (0, 0, 1.18), 0.104, 0.108, 1.36, 0.03)),
    ("top", Cone("chest", (0, 0, 1.22), (0, 0, 1.37), 0.116, 0.105, 1.48, 0.03)),
    ("skin", Cone("neck", (-0.01, 0, 1.45), (0.008, 0, 1.57), 0.058, 0.053, 1.0, 0.03)),
    ("skin", Cone("head", (0.015, 0, 1.655), (0.012, 0, 1.69), 0.094, 0.096, 0.84)),
    ("skin", Cone("head", (0.03, 0, 1.61), (0.055, 0, 1.59), 0.062, 0.046, 0.9, 0.04)),
    ("skin", Cone("head", (0.106, 0, 1.655), (0.118, 0, 1.635), 0.012, 0.016, 1.0, 0.02)),
]
_SIDED = [
    ("trousers", Cone("hips", (-0.045, 0.075, 0.95), (-0.05, 0.08, 0.90), 0.095, 0.09)),
    ("top", Cone("chest", (0, 0.05, 1.42), (0, 0.15, ARM_M), 0.075, 0.068)),
    ("top", Cone("chest", (-0.01, 0.03, 1.49), (-0.005, 0.13, 1.455), 0.045, 0.05)),
    ("top", Cone("*arm", (0, 0.17, ARM_M), (0, 0.30, ARM_M), 0.062, 0.052, 1.0, 0.03)),
    ("sleeve", Cone("*arm", (0, 0.28, ARM_M), (0, 0.44, ARM_M), 0.051, 0.043, 1.0, 0.012)),
    ("sleeve", Cone("*forearm", (0, 0.45, ARM_M), (0, 0.69, ARM_M), 0.044, 0.031, 1.0, 0.012)),
    ("hand", Cone("*hand", (0.005, 0.72, ARM_M), (0.01, 0.80, ARM_M), 0.034, 0.030, 1.0, 0.02)),
    ("hand", Cone("*hand", (0.01, 0.80, ARM_M), (0.01, 0.875, ARM_M - 0.005), 0.030, 0.014, 1.0, 0.02)),
    ("hand", Cone("*hand", (0.03, 0.74, ARM_M), (0.058, 0.80, ARM_M - 0.005), 0.015, 0.012, 1.0, 0.02)),
    ("ear", Cone("head", (-0.005, 0.079, 1.66), (-0.005, 0.084, 1.635), 0.022, 0.015, 0.5, 0.015)),
    ("trousers", Cone("*thigh", (0, 0.09, 0.89), (0.01, 0.10, 0.66), 0.094, 0.078, 1.0, 0.03)),
    ("shin", Cone("*thigh", (0.01, 0.10, 0.66), (0.01, 0.10, 0.51), 0.078, 0.061, 1.0, 0.012)),
    ("shin", Cone("*calf", (0.01, 0.10, 0.50), (-0.015, 0.103, 0.14), 0.060, 0.044, 1.0, 0.012)),
    ("shin", Cone("*calf", (-0.015, 0.102, 0.39), (-0.02, 0.103, 0.27), 0.052, 0.046, 1.0, 0.03)),
    ("shoe", Cone("*foot", (-0.02, 0.105, 0.12), (-0.035, 0.105, 0.05), 0.046, 0.048, 0.9, 0.03)),
    ("shoe", Cone("*foot", (-0.03, 0.105, 0.045), (0.14, 0.12, 0.032), 0.043, 0.036, 1.0, 0.03)),
]
_HEADWEAR = {
    "short": [("hair", Cone("head", (-0.018, 0, 1.685), (0.0, 0, 1.715), 0.100, 0.094, 0.86, 0.02))],
    "long": [
        ("hair", Cone("head", (-0.018, 0, 1.685), (0.0, 0, 1.715), 0.102, 0.096, 0.9, 0.02)),
        ("hair", Cone("head", (-0.06, 0, 1.66), (-0.085, 0, 1.44), 0.075, 0.045, 1.2, 0.03)),
    ],
    "tail": [
        ("hair", Cone("head", (-0.018, 0, 1.685), (0.0, 0, 1.715), 0.099, 0.093, 0.86, 0.02)),
        ("hair", Cone("head", (-0.115, 0, 1.71), (-0.15, 0, 1.50), 0.035, 0.02, 1.0, 0.02)),
    ],
    "bald": [],
    "cap": [
        ("hat", Cone("head", (-0.005, 0, 1.70), (0.0, 0, 1.725), 0.106, 0.098, 0.88, 0.015)),
        ("hat", Cone("head", (0.09, 0, 1.705), (0.165, 0, 1.69), 0.014, 0.010, 5.0, 0.01)),
        ("hair", Cone("head", (-0.02, 0, 1.67), (-0.01, 0, 1.69), 0.098, 0.09, 0.86, 0.02)),
    ],
    "helmet": [
        ("hat", Cone("head", (-0.01, 0, 1.705), (-0.005, 0, 1.73), 0.122, 0.108, 0.9, 0.015)),
        ("hat", Cone("head", (0.10, 0, 1.70), (0.14, 0, 1.69), 0.014, 0.010, 5.0, 0.01)),
    ],
    "hood": [
        ("top", Cone("head", (-0.03, 0, 1.68), (-0.015, 0, 1.715), 0.118, 0.108, 0.92, 0.02)),
        ("top", Cone("neck", (-0.035, 0, 1.50), (-0.04, 0, 1.60), 0.085, 0.09, 1.0, 0.04)),
    ],
}
HEADWEAR = tuple(_HEADWEAR)
_GIRTHS = {"hips": (0.93, 1.25), "waist": (0.92, 1.38), "chest": (0.93, 1.2), "arm": (0.9, 1.4), "leg": (0.9, 1.3)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outfit:
    """Colours as 0..255 RGB."""

    headwear: str = "short"
    skin: RGB = (214, 164, 132)
    hair: RGB = (70, 48, 34)
    hat: RGB = (40, 40, 46)
    top: RGB = (60, 84, 120)
    trousers: RGB = (60, 58, 62)
    shoe: RGB = (46, 38, 32)
    short_sleeves: bool = False
    shorts: bool = False
    gloves: bool = False

    def tones(self) -> dict[str, RGB]:
        sleeve = self.skin if self.short_sleeves else self.top
        shin = self.skin if self.shorts else self.trousers
        hand = (50.0, 44.0, 40.0) if self.gloves else self.skin
        worn = {"hair": self.hair, "hat": self.hat, "top": self.top, "trousers": self.trousers, "shoe": self.shoe}
        return {**worn, "skin": self.skin, "ear": self.skin, "sleeve": sleeve, "shin": shin, "hand": hand}


def build(outfit: Outfit, shape: int = 0, seed: float = 0.0) -> Body:
    """A person at rest, dressed."""
    vertices, normals, triangles, hide, cover = _hide(shape, outfit.headwear)
    tones = outfit.tones()
    names = sorted(tones)
    table = np.stack([linear(tones[name]) for name in names])
    colours = table[[names.index(c) for c in _covers(outfit.headwear)]][cover]
    bare = np.array([tones[c] == outfit.skin for c in _covers(outfit.headwear)])[cover]
    belt = (np.abs(vertices[:, 2] - 1.015) < 0.018) & (np.abs(vertices[:, 1]) < 0.2)
    colours = np.where((belt & ~bare)[:, None], colours * 0.4, colours)
    stuff = np.where(bare[triangles].any(axis=1), Stuff.SKIN, Stuff.CLOTH).astype(np.int32)
    skin_mesh = geometry.of(vertices, normals, triangles, Stuff.CLOTH, colours, vertices + np.float32(seed))
    eyes = _face()
    mesh = geometry.joined([skin_mesh._replace(stuff=stuff), eyes])
    return Body(
        kind="person",
        skeleton=SKELETON,
        mesh=mesh,
        skin=skins([hide, tied(SKELETON, ["head"] * len(eyes.vertices))]),
        points=POINTS,
    )


def _face() -> Mesh:
    parts = []
    for y in (0.034, -0.034):
        parts.append(geometry.ball((0.094, y, 1.668), (0.012, 0.015, 0.009), Stuff.SKIN, (228, 222, 215), 5))
        parts.append(geometry.ball((0.101, y, 1.667), (0.007, 0.0075, 0.0075), Stuff.EYE, (34, 24, 20), 5))
        parts.append(geometry.ball((0.098, y, 1.690), (0.009, 0.019, 0.0045), Stuff.HAIR, (56, 40, 30), 4))
    parts.append(geometry.ball((0.096, 0, 1.603), (0.010, 0.024, 0.006), Stuff.SKIN, (168, 88, 80), 5))
    return geometry.joined(parts)


def _shaped(shape: int, headwear: str) -> tuple[tuple[str, Cone], ...]:
    """The flesh of one of the shapes, with what is on the head. Shape 0 is as drawn."""
    sided = [(cover, cone) for cover, one in _SIDED for cone in both(one)]
    cones = [*_MIDDLE, *sided, *_HEADWEAR[headwear]]
    if shape == 0:
        return tuple(cones)
    rng = np.random.default_rng([13, shape])
    girth = {group: float(rng.uniform(*limits)) for group, limits in _GIRTHS.items()}
    return tuple(
        (cover, c._replace(ra=c.ra * girth.get(_group(c), 1.0), rb=c.rb * girth.get(_group(c), 1.0)))
        for cover, c in cones
    )


def _group(cone: Cone) -> str:
    limb = cone.bone.split("_")[-1]
    return {"forearm": "arm", "thigh": "leg", "calf": "leg"}.get(limb, limb)


@lru_cache(maxsize=len(_HEADWEAR))
def _covers(headwear: str) -> tuple[str, ...]:
    return tuple(cover for cover, _ in _shaped(0, headwear))


@lru_cache(maxsize=SHAPES * len(_HEADWEAR))
def _hide(shape: int, headwear: str) -> tuple[F32, F32, I32, Skin, I32]:
    cones = [cone for _, cone in _shaped(shape, headwear)]
    vertices, normals, triangles = flesh.mesh(cones, GRID_M)
    cover = cone_depths(cones, vertices).argmin(axis=1).astype(np.int32)
    return vertices, normals, triangles, skin(SKELETON, cones, vertices, triangles), cover


_SPOTS = {
    "left_eye": ("head", (0.098, 0.034, 1.668), 0.03),
    "left_ear": ("head", (-0.005, 0.085, 1.65), 0.03),
    "left_shoulder": ("arm", (0.0, 0.17, 1.43), 0.08),
    "left_elbow": ("forearm", (0.0, 0.45, 1.43), 0.055),
    "left_wrist": ("hand", (0.0, 0.70, 1.43), 0.045),
    "left_hip": ("thigh", (0.0, 0.10, 0.92), 0.13),
    "left_knee": ("calf", (0.01, 0.10, 0.50), 0.075),
    "left_ankle": ("foot", (-0.02, 0.105, 0.09), 0.06),
    "nose": ("head", (0.13, 0.0, 1.637), 0.03),
    "neck": ("neck", (0.0, 0.0, 1.50), 0.08),
    "head_top": ("head", (0.0, 0.0, 1.80), 0.10),
}
# As Human3.6M places them: its hips lie wider than joints of bone do, its nose between throat and face, its neck at
# the height of the shoulders, and its head 0.12 m above the nose. All of the trunk are fixed to their bones, so that
# the pelvis is the middle of the hips, and the thorax of the shoulders.
# Source: the T-pose of subject 1, whose bones are 133, 443, 454 (leg), 233, 257, 121, 115 (spine) and 151, 279, 252 mm.
_SPOTS_H36M = {
    "pelvis": ("hips", (0.0, 0.0, 0.93), 0.13),
    "left_hip": ("hips", (0.0, 0.12, 0.93), 0.13),
    "torso": ("waist", (-0.01, 0.0, 1.17), 0.11),
    "neck": ("chest", (-0.01, 0.0, 1.445), 0.08),
    "nose": ("head", (0.07, 0.0, 1.60), 0.06),
    "head_top": ("head", (0.0, 0.0, 1.74), 0.06),
    "thorax": ("chest", (0.0, 0.0, 1.43), 0.08),
}
_OF_LIMBS = {name for name, _, _ in _LIMBS}


def _point(name: str, spots: Mapping[str, tuple[str, XYZ, float]]) -> Point:
    bone, (x, y, z), radius = spots[name.replace("right", "left")]
    right = name.startswith("right")
    limb = f"{'right' if right else 'left'}_{bone}" if bone in _OF_LIMBS else bone
    return Point(name=name, bone=limb, at=(x, -y if right else y, z), radius_m=radius)


POINTS = {
    schema: tuple(_point(name, spots) for name in SCHEMAS[schema].keypoints)
    for schema, spots in (("lsp-14", _SPOTS), ("coco-17", _SPOTS), ("h36m-18", _SPOTS | _SPOTS_H36M))
}
