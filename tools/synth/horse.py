"""A horse of 1.6 m at the withers: bones, flesh, joints of the AP-10K schema. x forward, y left, z up, in m."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from engines.card.schema import SCHEMAS
from tools.synth import flesh, geometry, horse_coat
from tools.synth.body import Body, Point, rooted, skins, tied
from tools.synth.flesh import Cone, both
from tools.synth.geometry import Mesh, Stuff
from tools.synth.horse_coat import Coat
from tools.synth.skeleton import Bone, Skeleton, Skin, skin
from tools.synth.types import F32, I32

SHAPES = 6  # different bodies; each is polygonised once per process

_LEGS = (
    ("shoulder", "chest", (0.42, 0.14, 1.45)),
    ("arm", "shoulder", (0.66, 0.17, 1.09)),
    ("forearm", "arm", (0.45, 0.17, 0.93)),
    ("cannon", "forearm", (0.475, 0.165, 0.49)),
    ("pastern", "cannon", (0.472, 0.165, 0.215)),
    ("hoof", "pastern", (0.53, 0.165, 0.09)),
    ("thigh", "pelvis", (-0.54, 0.13, 1.24)),
    ("gaskin", "thigh", (-0.36, 0.18, 0.96)),
    ("hind_cannon", "gaskin", (-0.715, 0.165, 0.56)),
    ("hind_pastern", "hind_cannon", (-0.70, 0.165, 0.22)),
    ("hind_hoof", "hind_pastern", (-0.645, 0.165, 0.09)),
    ("ear", "head", (1.04, 0.05, 1.95)),
)
_TAIL = ((-0.79, 0.0, 1.40), (-0.88, 0.0, 1.32), (-0.92, 0.0, 1.16), (-0.93, 0.0, 0.95), (-0.93, 0.0, 0.72))


def _leg_bones(side: str) -> list[Bone]:
    y = 1 if side == "left" else -1
    legs = {name for name, _, _ in _LEGS}
    return [
        Bone(name=f"{side}_{name}", parent=f"{side}_{up}" if up in legs else up, joint=(x, y * dy, z))
        for name, up, (x, dy, z) in _LEGS
    ]


BONES = [
    Bone(name="loins", parent=None, joint=(0.0, 0.0, 1.30)),
    Bone(name="pelvis", parent="loins", joint=(-0.30, 0.0, 1.42)),
    Bone(name="chest", parent="loins", joint=(0.05, 0.0, 1.38)),
    Bone(name="neck", parent="chest", joint=(0.50, 0.0, 1.32)),
    Bone(name="crest", parent="neck", joint=(0.72, 0.0, 1.56)),
    Bone(name="poll", parent="crest", joint=(0.88, 0.0, 1.73)),
    Bone(name="head", parent="poll", joint=(1.03, 0.0, 1.86)),
    Bone(name="lip", parent="head", joint=(1.16, 0.0, 1.66)),
    *(Bone(name=f"tail{i}", parent=f"tail{i - 1}" if i else "pelvis", joint=joint) for i, joint in enumerate(_TAIL)),
    *_leg_bones("left"),
    *_leg_bones("right"),
]

_TRUNK = [
    Cone("chest", (0.42, 0, 1.21), (0.15, 0, 1.185), 0.335, 0.345, 0.72, 0.06),
    Cone("loins", (0.15, 0, 1.18), (-0.22, 0, 1.215), 0.345, 0.315, 0.84, 0.015),
    Cone("pelvis", (-0.22, 0, 1.25), (-0.56, 0, 1.30), 0.29, 0.235, 1.0, 0.08),
    Cone("pelvis", (-0.60, 0, 1.37), (-0.77, 0, 1.38), 0.14, 0.06, 1.0, 0.08),
    Cone("chest", (0.47, 0, 1.50), (0.16, 0, 1.475), 0.075, 0.06, 0.8, 0.10),
    Cone("loins", (0.16, 0, 1.465), (-0.32, 0, 1.47), 0.07, 0.08, 1.4, 0.08),
    Cone("chest", (0.62, 0, 1.13), (0.46, 0, 0.99), 0.17, 0.15, 1.05, 0.08),
]
_NECK = [
    Cone("neck", (0.46, 0, 1.32), (0.70, 0, 1.55), 0.26, 0.175, 0.55, 0.10),
    Cone("crest", (0.70, 0, 1.55), (0.88, 0, 1.74), 0.175, 0.135, 0.58, 0.02),
    Cone("poll", (0.88, 0, 1.74), (1.02, 0, 1.84), 0.135, 0.115, 0.66, 0.02),
    Cone("neck", (0.50, 0, 1.50), (0.68, 0, 1.67), 0.07, 0.06, 0.8, 0.08),
    Cone("crest", (0.68, 0, 1.67), (0.86, 0, 1.83), 0.06, 0.055, 0.8, 0.06),
    Cone("poll", (0.86, 0, 1.83), (1.02, 0, 1.90), 0.055, 0.05, 0.8, 0.06),
]
_HEAD = [
    Cone("head", (1.05, 0, 1.86), (1.17, 0, 1.755), 0.095, 0.10, 0.95, 0.05),
    Cone("head", (1.17, 0, 1.75), (1.35, 0, 1.54), 0.093, 0.060, 0.72, 0.05),
    Cone("head", (1.355, 0, 1.525), (1.375, 0, 1.48), 0.062, 0.055, 0.92, 0.04),
    Cone("lip", (1.15, 0, 1.665), (1.31, 0, 1.50), 0.060, 0.040, 0.75, 0.04),
    Cone("lip", (1.31, 0, 1.49), (1.34, 0, 1.45), 0.042, 0.032, 1.0, 0.03),
]
_SIDED = [
    Cone("head", (1.07, 0.042, 1.75), (1.16, 0.045, 1.685), 0.088, 0.075, 0.6, 0.04),
    Cone("head", (1.14, 0.072, 1.80), (1.18, 0.078, 1.775), 0.034, 0.030, 1.0, 0.03),
    Cone("head", (1.375, 0.036, 1.515), (1.395, 0.034, 1.49), 0.030, 0.024, 0.9, 0.02),
    Cone("*ear", (1.035, 0.050, 1.93), (1.055, 0.066, 2.01), 0.026, 0.033, 0.8, 0.03),
    Cone("*ear", (1.055, 0.066, 2.01), (1.075, 0.068, 2.085), 0.033, 0.008, 0.8, 0.02),
    Cone("*shoulder", (0.42, 0.13, 1.42), (0.60, 0.16, 1.10), 0.12, 0.14, 0.62, 0.08),
    Cone("*shoulder", (0.33, 0.15, 1.28), (0.42, 0.16, 1.02), 0.13, 0.12, 0.55, 0.08),
    Cone("*arm", (0.63, 0.165, 1.07), (0.47, 0.17, 0.95), 0.105, 0.105, 0.85, 0.06),
    Cone("*forearm", (0.455, 0.17, 0.93), (0.475, 0.165, 0.56), 0.098, 0.047, 0.85, 0.04),
    Cone("*cannon", (0.480, 0.165, 0.52), (0.478, 0.165, 0.46), 0.050, 0.042, 1.0, 0.03),
    Cone("*cannon", (0.475, 0.165, 0.46), (0.470, 0.165, 0.25), 0.037, 0.034, 0.85, 0.03),
    Cone("*pastern", (0.468, 0.165, 0.215), (0.475, 0.165, 0.205), 0.045, 0.042, 0.95, 0.03),
    Cone("*pastern", (0.485, 0.165, 0.19), (0.525, 0.165, 0.11), 0.035, 0.039, 1.0, 0.02),
    Cone("*hoof", (0.530, 0.165, 0.085), (0.555, 0.165, 0.02), 0.046, 0.062, 0.95, 0.01),
    Cone("*thigh", (-0.52, 0.14, 1.22), (-0.40, 0.16, 0.99), 0.22, 0.145, 0.65, 0.08),
    Cone("*thigh", (-0.72, 0.10, 1.25), (-0.64, 0.14, 0.96), 0.12, 0.11, 0.85, 0.10),
    Cone("*gaskin", (-0.42, 0.165, 0.96), (-0.66, 0.165, 0.65), 0.125, 0.060, 0.72, 0.06),
    Cone("*gaskin", (-0.60, 0.155, 0.90), (-0.72, 0.165, 0.68), 0.085, 0.032, 0.8, 0.06),
    Cone("*hind_cannon", (-0.760, 0.165, 0.635), (-0.725, 0.165, 0.56), 0.030, 0.045, 0.9, 0.04),
    Cone("*hind_cannon", (-0.700, 0.165, 0.59), (-0.708, 0.165, 0.51), 0.052, 0.046, 0.95, 0.04),
    Cone("*hind_cannon", (-0.708, 0.165, 0.51), (-0.702, 0.165, 0.25), 0.041, 0.036, 0.85, 0.03),
    Cone("*hind_pastern", (-0.705, 0.165, 0.22), (-0.698, 0.165, 0.21), 0.047, 0.044, 0.95, 0.03),
    Cone("*hind_pastern", (-0.688, 0.165, 0.19), (-0.648, 0.165, 0.11), 0.036, 0.039, 1.0, 0.02),
    Cone("*hind_hoof", (-0.645, 0.165, 0.085), (-0.625, 0.165, 0.02), 0.045, 0.060, 0.95, 0.01),
]

FLESH = [*_TRUNK, *_NECK, *_HEAD, *(side for cone in _SIDED for side in both(cone))]

_MID = {
    "left_eye": ("head", (1.165, 0.10, 1.79), 0.04),
    "left_shoulder": ("forearm", (0.455, 0.17, 0.83), 0.12),
    "left_elbow": ("cannon", (0.478, 0.165, 0.49), 0.06),
    "left_front_paw": ("hoof", (0.545, 0.165, 0.045), 0.07),
    "left_hip": ("gaskin", (-0.50, 0.165, 0.86), 0.14),
    "left_knee": ("hind_cannon", (-0.715, 0.165, 0.56), 0.07),
    "left_back_paw": ("hind_hoof", (-0.635, 0.165, 0.045), 0.07),
}
_MIDDLE = {
    "nose": ("head", (1.385, 0.0, 1.50), 0.08),
    "neck": ("chest", (0.60, 0.0, 1.36), 0.22),
    "root_of_tail": ("pelvis", (-0.79, 0.0, 1.39), 0.09),
}

BULK = ("loins", "pelvis", "chest")
TAIL = tuple(f"tail{i}" for i in range(len(_TAIL)))


def build(rng: np.random.Generator, coat: Coat, shape: int = 0, infrared: bool = False) -> Body:
    """A horse at rest: skin, eyes, nostrils, mane and tail."""
    cones = list(_shaped(shape))
    vertices, normals, triangles, hide = _hide(shape)
    colours = horse_coat.paint(coat, vertices, float(rng.uniform(0, 90)))
    horn = vertices[triangles, 2].max(axis=1) < 0.085
    body = geometry.of(vertices, normals, triangles, Stuff.COAT, colours)
    body = body._replace(stuff=np.where(horn, Stuff.HOOF, Stuff.COAT).astype(np.int32))
    side = 1.0 if rng.random() < 0.5 else -1.0
    mane, mane_roots = horse_coat.mane(coat, cones, rng, float(rng.uniform(0.16, 0.32)), side)
    lock = horse_coat.forelock(coat, cones, rng)
    tail, along = horse_coat.tail(coat, np.array(_TAIL), rng, float(rng.uniform(0.8, 1.05)))
    eyes = _eyes(infrared)
    dock = [TAIL[min(int(a), len(TAIL) - 1)] for a in along]
    ties = [
        hide,
        tied(SKELETON, ["head"] * len(eyes.vertices)),
        rooted(SKELETON, cones, mane_roots, len(mane.vertices) // len(mane_roots)),
        tied(SKELETON, ["head"] * len(lock.vertices)),
        tied(SKELETON, dock),
    ]
    mesh = geometry.joined([body, eyes, mane, lock, tail])
    return Body(kind="horse", skeleton=SKELETON, mesh=mesh, skin=skins(ties), points=POINTS, tail=TAIL, bulk=BULK)


def _eyes(infrared: bool) -> Mesh:
    """Return the eyes: dark by day; in infrared they reflect the lamp of the camera."""
    pupil = (235.0, 235.0, 235.0) if infrared else (26.0, 18.0, 14.0)
    parts = []
    for y in (1, -1):
        parts.append(geometry.ball((1.168, 0.094 * y, 1.79), (0.021, 0.02, 0.021), Stuff.EYE, pupil, 6))
        parts.append(geometry.ball((1.402, 0.046 * y, 1.50), (0.010, 0.012, 0.018), Stuff.SKIN, (22, 18, 18), 5))
    return geometry.joined(parts)


def _shaped(shape: int) -> tuple[Cone, ...]:
    """The flesh of one of the shapes: rounder, leaner, stouter of leg and neck. Shape 0 is as drawn."""
    if shape == 0:
        return tuple(FLESH)
    rng = np.random.default_rng([7, shape])
    girth = {group: float(rng.uniform(low, high)) for group, (low, high) in _GIRTHS.items()}
    return tuple(c._replace(ra=c.ra * girth[_group(c)], rb=c.rb * girth[_group(c)]) for c in FLESH)


_GIRTHS = {"trunk": (0.94, 1.10), "neck": (0.90, 1.22), "head": (0.95, 1.08), "leg": (0.92, 1.28)}


def _group(cone: Cone) -> str:
    for group, bones in (("trunk", ("chest", "loins", "pelvis")), ("neck", ("neck", "crest", "poll"))):
        if cone.bone in bones:
            return group
    upper = ("shoulder", "thigh", "arm")
    return (
        "head"
        if "head" in cone.bone or "lip" in cone.bone or "ear" in cone.bone
        else ("trunk" if cone.bone.split("_")[-1] in upper else "leg")
    )


@lru_cache(maxsize=SHAPES)
def _hide(shape: int) -> tuple[F32, F32, I32, Skin]:
    cones = _shaped(shape)
    vertices, normals, triangles = flesh.mesh(cones)
    return vertices, normals, triangles, skin(SKELETON, cones, vertices, triangles)


def _points() -> tuple[Point, ...]:
    out = []
    for name in SCHEMAS["ap10k-17"].keypoints:
        bone, (x, y, z), radius = _MIDDLE.get(name) or _MID[name.replace("right", "left")]
        right = name.startswith("right")
        bone = bone if name in _MIDDLE or bone == "head" else f"{'right' if right else 'left'}_{bone}"
        out.append(Point(name=name, bone=bone, at=(x, -y if right else y, z), radius_m=radius))
    return tuple(out)


SKELETON = Skeleton(BONES)
POINTS = {"ap10k-17": _points()}
