"""Single people cut out of nothing, with their joints in space: what the 3D models of people learn from.

    python -m tools.synth portraits OUT --count 6000 --seed 1

A person is drawn alone, large, without ground and shadows, which costs a twentieth of a scene; whoever learns from it
puts it over photographs. Bodies have their own proportions, poses are far more varied than those of the scenes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from tools.synth import person, pose
from tools.synth import person_pose as p
from tools.synth.body import Body
from tools.synth.camera import Camera, Sensor
from tools.synth.dice import Dice
from tools.synth.geometry import LOOKS, linear
from tools.synth.pose import Pose, Turns
from tools.synth.raster import Layer, fill, perspective, to_view
from tools.synth.shade import Light, shade
from tools.synth.skeleton import Skeleton, placed
from tools.synth.subjects import outfit, person_held
from tools.synth.truth import around
from tools.synth.types import F32, F64, U8, f32

SIDE_PX = 288  # of the picture
BOX_PX = 196  # longer side of the person's box in it: the crop that is 1.25 times as large fits in, with room to move
FINER = 1.5  # supersampling factor
NEAR_M = 0.2
FARTHEST_M = 12.0
SCHEMA = "h36m-18"
TABLE = ("xyxy", "joints_mm", "lens")  # of a portrait, beside its image
EVERY = 500  # portraits between two progress lines
APART = 2  # of the shapes of bodies: never seen by who learned without `apart`


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Portrait:
    image: U8  # (SIDE_PX, SIDE_PX, 4) BGR, already multiplied by the fourth, the share that shows the person, of 255
    xyxy: F32  # (4,) the box, px
    joints_mm: F64  # (18, 3) Human3.6M's, in the camera's frame: x right, y down, z away
    lens: F64  # (4,) fx, fy, cx, cy, px of the image


def portrait(seed: int, number: int, *, apart: bool = False) -> Portrait:
    """Return one random person; with `apart` of a shape that no portrait without it has."""
    dice = Dice(np.random.default_rng([seed, number]))
    while True:
        body, size = _body(dice, apart=apart)
        turns = {name: tuple(np.radians(turn)) for name, turn in _held(dice).turns.items()}
        frames = body.skeleton.frames(turns, placed((0, 0, 0), _trunk(dice), size))
        camera = _camera(dice, body.some(frames).astype(np.float64))
        if (drawn := _drawn(dice, body, frames, camera)) is not None:
            return drawn


def over(portrait: U8, background: U8) -> U8:
    """Return a portrait (H, W, 4), multiplied as `Portrait.image` is, over a background (H, W, 3)."""
    rest = 255 - portrait[..., 3:].astype(np.uint16)
    return (portrait[..., :3] + (background * rest + 127) // 255).clip(0, 255).astype(np.uint8)


def _body(dice: Dice, *, apart: bool) -> tuple[Body, float]:
    """Return a body and its size; the last of the shapes are those apart. One in twelve is a child."""
    split = person.SHAPES - APART
    shape = split + dice.below(APART) if apart else dice.below(split)
    child = dice.chance(0.08)
    body = person.build(outfit(dice), shape, dice.between(0, 40))
    size = dice.between(0.6, 0.85) if child else float(np.clip(dice.around(0.975, 0.05), 0.85, 1.1))
    return _proportioned(body, dice, head=1.15 if child else 1.0), size


def _proportioned(body: Body, dice: Dice, head: float) -> Body:
    """Return the body with its own lengths of legs, trunk, neck, head and arms, and its own width and depth.

    Everything at rest is stretched by stages along z and y: skin, bones and named points alike.
    """
    high = np.array([0.0, 0.5, 0.92, 1.43, 1.56, 1.9])
    wide = np.array([0.0, 0.17, 0.45, 0.70, 0.95])
    legs, trunk, arms = (float(np.exp(dice.around(0, 0.04))) for _ in range(3))
    shins, forearms, neck, girth = (float(np.exp(dice.around(0, 0.03))) for _ in range(4))
    above = _summed(np.diff(high) * [legs * shins, legs, trunk, neck, head * float(np.exp(dice.around(0, 0.03)))])
    beside = _summed(np.diff(wide) * [float(np.exp(dice.around(0, 0.05))), arms, arms * forearms, arms])

    def moved(at: F64) -> F64:
        x, y, z = at.T
        side = np.sign(y) * np.interp(np.abs(y), wide, beside)
        return np.stack([x * girth, side, np.interp(z, high, above)], axis=-1)

    skeleton = Skeleton([])
    skeleton.index, skeleton.parents = body.skeleton.index, body.skeleton.parents
    skeleton.joints = moved(body.skeleton.joints)
    points = {
        name: tuple(replace(one, at=tuple(moved(np.array([one.at]))[0].tolist())) for one in row)
        for name, row in body.points.items()
    }
    vertices = moved(body.mesh.vertices.astype(np.float64)).astype(np.float32)
    return replace(body, mesh=body.mesh._replace(vertices=vertices), skeleton=skeleton, points=points)


def _summed(steps: F64) -> F64:
    return np.concatenate([[0.0], np.cumsum(steps)])


def _held(dice: Dice) -> Pose:
    """Return a pose: of the scenes, or with arms, legs and back anywhere they can go."""
    base = person_held(dice)
    loose: Turns = {name: dice.turn(4, 7, 7) for name in sorted(base.turns)}
    base = pose.added(base, loose)
    free: dict[str, tuple[float, float, float]] = {}
    for side in ("left", "right"):
        if dice.chance(0.5):
            free |= _free_arm(dice, side)
        if dice.chance(0.3):
            free |= _free_leg(dice, side)
    if dice.chance(0.3):
        free |= _free_back(dice)
    if dice.chance(0.04):
        free |= _on_all_fours(dice)
    return replace(base, turns={**base.turns, **free})


def _free_arm(dice: Dice, side: str) -> Turns:
    bend = dice.between(0, 145) if dice.chance(0.6) else dice.between(0, 30)
    return p.arm(side, dice.between(-75, 85), dice.between(-45, 130), bend, dice.between(-40, 40))


def _free_leg(dice: Dice, side: str) -> Turns:
    forward = dice.between(-25, 120)
    knee = dice.between(max(0.0, forward - 95), 140) if dice.chance(0.6) else dice.between(0, 30)
    return p.leg(side, forward, knee, dice.between(-8, 45), dice.between(-25, 30))


def _free_back(dice: Dice) -> Turns:
    bent, lean, twist = dice.between(-12, 40), dice.around(0, 9), dice.around(0, 12)
    return {
        "waist": (lean, bent, twist),
        "chest": (0.7 * lean, 0.7 * bent, 0.7 * twist),
        "neck": dice.turn(6, 10, 12),
        "head": dice.turn(8, 14, 25),
    }


def _on_all_fours(dice: Dice) -> Turns:
    arms = (p.arm(side, dice.around(82, 4), dice.around(88, 10), abs(dice.around(8, 8))) for side in ("left", "right"))
    legs = (p.leg(side, dice.around(92, 12), dice.around(92, 10), 4, 30) for side in ("left", "right"))
    parts = [*arms, *legs, {"hips": (0.0, dice.around(80, 8), 0.0), "neck": (0.0, dice.around(-25, 12), 0.0)}]
    return {name: turn for part in parts for name, turn in part.items()}


def _trunk(dice: Dice) -> tuple[float, float, float]:
    """Return roll, pitch and yaw of the whole body, rad: upright, or in one of seven cases lying or tilted."""
    yaw = dice.between(-np.pi, np.pi)
    if dice.chance(0.86):
        return 0.0, 0.0, yaw
    down = dice.one((90.0, -90.0)) * dice.between(0.6, 1.1)
    roll, pitch = (down, dice.around(0, 20)) if dice.chance(0.4) else (dice.around(0, 25), down)
    return float(np.radians(roll)), float(np.radians(pitch)), yaw


def _camera(dice: Dice, points: F64) -> Camera:
    """Return a camera up to 12 m away, level or up to 60 degrees above, that has the person anywhere in its view.

    Its lens is set by `_drawn`: how far away a person is shows in the perspective alone.
    """
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    reach = float(np.linalg.norm(np.ptp(points, axis=0))) / 2
    far_m = max(float(np.exp(dice.between(np.log(1.5), np.log(FARTHEST_M)))), reach + 0.5)
    up = dice.between(0, 25) if dice.chance(0.6) else dice.between(-12, 60)
    turn, up = dice.between(-np.pi, np.pi), float(np.radians(up))
    away = np.array([np.cos(up) * np.cos(turn), np.cos(up) * np.sin(turn), np.sin(up)])
    at = middle + far_m * away
    aside = np.cross(away, [0, 0, 1.0])
    aside /= np.linalg.norm(aside)
    off = np.tan(np.radians(dice.between(-30, 30))) * aside + np.tan(np.radians(dice.between(-14, 14))) * np.array(
        [0, 0, 1.0]
    )
    to = middle + far_m * off
    return Camera(at=_xyz(at), to=_xyz(to), fov_deg=60.0, roll_deg=dice.around(0, 4))


def _xyz(at: F64) -> tuple[float, float, float]:
    return float(at[0]), float(at[1]), float(at[2])


def _drawn(dice: Dice, body: Body, frames: F64, camera: Camera) -> Portrait | None:
    """Return the picture through a lens that makes the box BOX_PX; None if a part of the body is too near."""
    mesh = body.posed(frames)
    view = to_view(mesh.vertices, camera.frame())
    if view[:, 2].min() < NEAR_M:
        return None
    seen = view[:, :2] / view[:, 2:]
    low, high = seen.min(axis=0), seen.max(axis=0)
    focal = BOX_PX / float((high - low).max())
    centre = SIDE_PX / 2 - focal * (low + high) / 2
    lens = np.array([focal, focal, *centre])
    layer, side = Layer((round(SIDE_PX * FINER),) * 2), round(SIDE_PX * FINER)
    screen, source = perspective(view, mesh.triangles, (lens * FINER).astype(np.float32), NEAR_M)
    fill(screen, source, layer.w, layer.triangle)
    shown = layer.triangle >= 0
    parts = np.zeros((side, side, 3), np.float32), np.zeros((side, side, 3), np.float32)
    inverse = f32([[1 / focal, 0, -centre[0] / focal], [0, 1 / focal, -centre[1] / focal], [0, 0, 1]])
    inverse = inverse @ f32(np.diag([1 / FINER, 1 / FINER, 1.0]))
    eye = camera.eye((side, side))._replace(rays=np.ascontiguousarray(camera.frame()[:, :3].T @ inverse))
    pictures = np.zeros((1, 2, 2, 3), np.float32)
    pixels = np.flatnonzero(shown).astype(np.int32)
    shade(pixels, (layer.w, layer.triangle), mesh, LOOKS, pictures, eye, _light(dice, camera), parts)
    tones = Sensor(exposure=dice.between(0.7, 1.5), gamma=dice.between(2.0, 2.4)).tones()
    lit = tones[np.clip((parts[0] + parts[1]) * 16384, 0, 65535).astype(np.uint16)][..., ::-1]
    fine = np.dstack([lit, np.full((side, side), 255, np.uint8)]) * shown[..., None]
    image = np.asarray(cv2.resize(fine, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA), np.uint8)
    joints = camera.view(body.where(SCHEMA, frames))
    return Portrait(image=image, xyxy=around(image[..., 3] > 127), joints_mm=1000 * joints, lens=lens)


def _light(dice: Dice, camera: Camera) -> Light:
    """Return light from anywhere above: sun, lamps, the camera's own, or an even sky."""
    height, turn = dice.between(0.1, 1.5), dice.between(-np.pi, np.pi)
    sun_to = f32([np.cos(height) * np.cos(turn), np.cos(height) * np.sin(turn), np.sin(height)])
    warm = np.exp(dice.rng.normal(0, 0.12, 3))
    sun = dice.between(0.0, 2.2) * warm
    sky = dice.between(0.25, 0.9) * np.exp(dice.rng.normal(0, 0.1, 3))
    ground = sky * dice.between(0.25, 0.8) * linear(dice.colour()) ** 0.3
    lamp = (dice.between(1, 25) if dice.chance(0.3) else 0.0) * np.ones(3)
    return Light(
        sun_to=sun_to,
        sun=f32(sun),
        sky=f32(sky),
        ground=f32(ground),
        lamp_at=f32(camera.at),
        lamp=f32(lamp),
        haze=f32((0, 0, 0, 0)),
    )


class Portraits:
    """Portraits in a folder: PNG images back to back, and a table of their truth."""

    def __init__(self, folder: Path) -> None:
        """Read the table. Raises OSError if the folder has none."""
        with np.load(folder / "portraits.npz") as table:
            self.xyxy, self.joints_mm, self.lens = (table[name] for name in TABLE)
            self._offset = table["offset"].astype(np.int64)
        self._data = np.memmap(folder / "portraits.bin", np.uint8, "r")

    def __len__(self) -> int:
        return len(self.xyxy)

    def image(self, i: int) -> U8:
        """Return the image of `Portrait` number `i`."""
        png = np.asarray(self._data[self._offset[i] : self._offset[i + 1]])
        return np.asarray(cv2.imdecode(png, cv2.IMREAD_UNCHANGED), np.uint8)

    @staticmethod
    def write(folder: Path, seed: int, count: int, *, apart: bool) -> None:
        """Render `count` portraits into the folder; prints its progress."""
        folder.mkdir(parents=True, exist_ok=True)
        rows: list[Portrait] = []
        offset = [0]
        with (folder / "portraits.bin").open("wb") as file:
            for number in range(count):
                one = portrait(seed, number, apart=apart)
                _, png = cv2.imencode(".png", one.image, [cv2.IMWRITE_PNG_COMPRESSION, 1])
                file.write(png.tobytes())
                offset.append(offset[-1] + len(png))
                rows.append(replace(one, image=one.image[:0]))
                if len(rows) % EVERY == 0:
                    print(f"{len(rows)}/{count}", flush=True)
        xyxy, joints_mm, lens = (np.stack([getattr(row, name) for row in rows]) for name in TABLE)
        np.savez(folder / "portraits.npz", offset=np.array(offset), xyxy=xyxy, joints_mm=joints_mm, lens=lens)
