"""Random images: place, light, camera and subjects, all from one seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from tools.synth import geometry, pose
from tools.synth.body import Body
from tools.synth.camera import Camera, Sensor
from tools.synth.dice import Dice
from tools.synth.pose import Pose
from tools.synth.stage import Actor, Stage
from tools.synth.subjects import a_horse, a_person
from tools.synth.surroundings import Room, a_place, clutter, infrared
from tools.synth.takes import glimpse
from tools.synth.truth import Truth
from tools.synth.types import F64, U8

FINER = 1.5  # supersampling factor
APART_M = 0.12
PLACES_TRIED, CAMERAS_TRIED = 16, 20


def picture(
    seed: int, number: int, size_wh: tuple[int, int], kind: str, *, pinhole: bool = False
) -> tuple[U8, list[Truth]]:
    """Return one random image (H, W, 3) BGR of a kind (one of `synth.KINDS`), and its subjects.

    `pinhole` takes the lens's distortion away, so that the truth in space projects onto the picture exactly; not so of
    `watched`.
    """
    dice = Dice(np.random.default_rng([seed, number]))
    if kind == "empty" and dice.chance(0.25):
        return _nothing(dice, size_wh), []
    if kind == "watched":
        return glimpse(dice, size_wh)
    sensor = _sensor(dice, dark=0.5 if kind == "passing" else 0.28)
    place, room = a_place(dice, dark=sensor.infrared)
    actors = _cast(dice, kind, room, dark=sensor.infrared)
    camera = _aimed(dice, actors, room, size_wh)
    camera = replace(camera, barrel=0.0) if pinhole else camera
    actors += _passers(dice, actors, room, camera) if kind == "passing" else []
    if sensor.infrared:
        far_m = float(np.linalg.norm(actors[0].middle - camera.at)) if actors else 4.0
        light = infrared(camera, dice.between(0.5, 2.2) * (far_m**2 + 1.0), dice.between(0.01, 0.10))
        place = replace(place, light=light)
    place = replace(place, mesh=geometry.joined([place.mesh, *clutter(dice, room, actors)]))
    return Stage(place, camera, sensor, size_wh, FINER).render(actors, dice.rng)


def _sensor(dice: Dice, *, dark: float) -> Sensor:
    """Return a sensor, infrared with probability `dark`."""
    infrared_ = dice.chance(dark)
    return Sensor(
        infrared=infrared_,
        exposure=dice.between(0.7, 1.5),
        gamma=dice.between(2.0, 2.4),
        warmth=1.0 if infrared_ else dice.between(0.92, 1.10),
        saturation=dice.between(0.65, 1.15),
        blur_px=float(dice.rng.exponential(0.35)),
        vignette=dice.between(0.0, 0.35),
        noise=dice.between(0.5, 6.0 if infrared_ else 4.0),
        grain_px=dice.one((0.0, 0.5, 0.7, 1.0)),
    )


def _cast(dice: Dice, kind: str, room: Room, *, dark: bool) -> list[Actor]:
    """Return the subjects; the camera is aimed at the first."""
    kinds = {"empty": [], "both": ["horse", "person"], "passing": ["horse"]}.get(kind, [kind])
    if kind in {"horse", "person"} and dice.chance(0.18 if kind == "horse" else 0.35):
        kinds = [kind] * (3 if kind == "person" and dice.chance(0.3) else 2)
    if kind == "both" and dice.chance(0.4):
        kinds = ["person", "horse"]
    actors: list[Actor] = []
    for one in kinds:
        lying = kind == "passing" and dice.chance(0.45)
        body, held, size = a_horse(dice, dark=dark, lying=lying) if one == "horse" else a_person(dice)
        actor = _placed(dice, room, body, held, size, actors)
        actors += [actor] if actor else []
    return actors


def _placed(dice: Dice, room: Room, body: Body, held: Pose, size: float, others: Sequence[Actor]) -> Actor | None:
    """Return the body at a free position in the room; None if there is none."""
    for attempt in range(PLACES_TRIED):
        xy = room.spot(dice, 1.2 if body.kind == "horse" else 0.5)
        frames = pose.settle(body, held, xy, dice.between(-np.pi, np.pi), size)
        actor = Actor(body=body, frames=frames, behaviour=held.behaviour, number=len(others))
        last = attempt == PLACES_TRIED - 1 and not others
        if last or (room.holds(actor) and _apart(actor, others)):
            return actor
    return None


def _passers(dice: Dice, actors: Sequence[Actor], room: Room, camera: Camera) -> list[Actor]:
    """Return people between the camera and its target, next to the camera, or cut by the edge of the image."""
    passers: list[Actor] = []
    for _ in range(2 if dice.chance(0.2) else 1):
        body, held, size = a_person(dice)
        for _ in range(PLACES_TRIED):
            frames = pose.settle(body, held, _crossing(dice, actors[0], camera), dice.between(-np.pi, np.pi), size)
            actor = Actor(body=body, frames=frames, behaviour=held.behaviour, number=len(actors) + len(passers))
            if (room.holds(actor) or _outside(room, actor)) and _apart(actor, [*actors, *passers]):
                passers.append(actor)
                break
    return passers


def _crossing(dice: Dice, seen: Actor, camera: Camera) -> tuple[float, float]:
    """Return a position on the ground, at a random column (often at the edges), mostly nearer than the target."""
    x, y, _ = camera.at
    ahead = np.arctan2(camera.to[1] - y, camera.to[0] - x)
    column = dice.one((-1.0, 1.0)) * dice.around(1.0, 0.12) if dice.chance(0.35) else dice.between(-1, 1)
    bearing = ahead - np.arctan(column * np.tan(np.radians(camera.fov_deg) / 2))
    far_m = max(dice.between(0.35, 1.15) * float(np.hypot(*(seen.middle[:2] - camera.at[:2]))), 1.2)
    return float(x + far_m * np.cos(bearing)), float(y + far_m * np.sin(bearing))


def _outside(room: Room, actor: Actor) -> bool:
    """Return whether a subject is in front of the open side of the stall."""
    return bool((actor.body.some(actor.frames, 40)[:, 1] < room.low[1] - 0.1).all())


def _apart(actor: Actor, others: Sequence[Actor]) -> bool:
    """Return whether a subject is at least `APART_M` from the others."""
    mine = actor.body.some(actor.frames, 60)
    theirs = [other.body.some(other.frames, 60) for other in others]
    return all(((mine[:, None] - points[None]) ** 2).sum(axis=2).min() > APART_M**2 for points in theirs)


def _aimed(dice: Dice, actors: Sequence[Actor], room: Room, size_wh: tuple[int, int]) -> Camera:
    """Return a camera that sees nearly all of its target, in hard images a part of it."""
    if not actors:
        return _camera(dice, np.array([*room.centre, 0.9]), room, 2.0, hard=False)
    points = actors[0].body.some(actors[0].frames, 40).astype(np.float64)
    size_m, hard = float(np.ptp(points, axis=0).max()), dice.chance(0.25)
    for _ in range(CAMERAS_TRIED):
        camera = _camera(dice, actors[0].middle, room, size_m, hard=hard)
        xyz = camera.pixels(points, size_wh)
        inside = ((xyz[:, 2] > 0.4) & (xyz[:, :2] > 0).all(axis=1) & (xyz[:, :2] < size_wh).all(axis=1)).mean()
        if (0.3 < inside < 0.9) if hard else inside > 0.85:
            break
    return camera


def _camera(dice: Dice, target: F64, room: Room, size_m: float, *, hard: bool) -> Camera:
    """Return a camera in a corner under the ceiling, at eye level or on a fence; sometimes very near."""
    at = _hung(dice, target, room, hard=hard)
    reach_m = max(float(np.linalg.norm(at - target)), 0.8)
    span_m = size_m * (dice.between(0.75, 1.4) if hard else float(np.exp(dice.between(0.5, 1.5))))
    aim = target + dice.rng.normal(0, 0.12 * span_m, 3) * [1, 1, 0.6]
    return Camera(
        at=(float(at[0]), float(at[1]), float(at[2])),
        to=(float(aim[0]), float(aim[1]), float(aim[2])),
        fov_deg=float(np.clip(np.degrees(2 * np.arctan(span_m / 2 / reach_m)), 14, 105)),
        roll_deg=dice.around(0, 2.5),
        barrel=dice.between(0.0, 0.14),
    )


def _hung(dice: Dice, target: F64, room: Room, *, hard: bool) -> F64:
    """Return the position of a camera: often high; indoors within the walls, or in front of the open side."""
    indoors = room.ceiling is not None
    far_m = dice.between(2.4, 6.0) if indoors else float(np.exp(dice.between(0.9, 2.7)))
    far_m = dice.between(1.5, 3.0) if hard else far_m
    height = dice.between(1.8, 2.6 if indoors else 4.5) if dice.chance(0.55) else dice.between(0.7, 1.9)
    turn = dice.between(-0.95 * np.pi, -0.05 * np.pi) if indoors else dice.between(-np.pi, np.pi)
    x, y = target[0] + far_m * np.cos(turn), target[1] + far_m * np.sin(turn)
    if room.ceiling is not None:
        x, height = np.clip(x, room.low[0] + 0.15, room.high[0] - 0.15), min(height, room.ceiling - 0.15)
        y = max(y, 0.2 if dice.chance(0.5) else -5.0)
    return np.array([x, y, height])


def _nothing(dice: Dice, size_wh: tuple[int, int]) -> U8:
    """Return an image without a place: flat, a gradient, or coloured lumps."""
    (w, h), pick, shape = size_wh, dice.below(3), (size_wh[1], size_wh[0], 3)
    a, b = dice.rng.uniform(0, 255, (2, 3))
    slope = np.linspace(0, 1, h)[:, None, None] if dice.chance(0.5) else np.linspace(0, 1, w)[None, :, None]
    flat = np.broadcast_to(a + (b - a) * slope * (pick > 0), shape)
    if pick == 2:
        coarse = dice.rng.normal(0, 60, (3 + dice.below(27), 3 + dice.below(37), 3)).astype(np.float32)
        flat = flat + cv2.resize(coarse, (w, h), interpolation=cv2.INTER_CUBIC)
    return np.clip(flat + dice.rng.normal(0, dice.between(0, 6), shape), 0, 255).astype(np.uint8)
