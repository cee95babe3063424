"""Random places: a stall or a yard, its light, and objects."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tools.synth import geometry, stall, yard
from tools.synth.camera import Camera
from tools.synth.dice import Dice
from tools.synth.geometry import RGB, Mesh, Stuff, ball, box
from tools.synth.shade import Light
from tools.synth.stage import Actor, Place
from tools.synth.types import f32

WOODS: tuple[RGB, ...] = ((150, 108, 70), (118, 84, 58), (176, 140, 98), (132, 122, 110), (92, 70, 54))
STRAW: RGB = (186, 162, 96)
LOW_M = 0.16  # a person sitting lower than this needs no seat
NIGHT_SKY = (f32((0.004, 0.004, 0.004)), f32((0.002, 0.002, 0.002)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """Where subjects may stand and cameras may hang; measures in m."""

    low: tuple[float, float]
    high: tuple[float, float]
    ceiling: float | None  # None outdoors

    @property
    def centre(self) -> tuple[float, float]:
        return (self.low[0] + self.high[0]) / 2, (self.low[1] + self.high[1]) / 2

    def holds(self, actor: Actor) -> bool:
        """Return whether a body intersects no wall; the open side for cameras counts as a wall."""
        points = actor.body.some(actor.frames, 40)[:, :2]
        return self.ceiling is None or bool((points > self.low).all() and (points < self.high).all())

    def spot(self, dice: Dice, margin: float) -> tuple[float, float]:
        gap = [min(margin, 0.45 * (b - a)) for a, b in zip(self.low, self.high, strict=True)]
        x, y = (dice.between(a + g, b - g) for a, b, g in zip(self.low, self.high, gap, strict=True))
        return x, y


def daylight(dice: Dice, *, indoors: bool, overcast: bool = False) -> Light:
    """Return sun, sky and light reflected by the ground; indoors lamps and windows."""
    height = np.radians(dice.between(35, 75) if indoors else dice.between(18, 70))
    turn, warm = dice.between(0, 2 * np.pi), dice.between(0.75, 1.0)
    strong = (dice.between(0.8, 2.4) if indoors else dice.between(2.0, 3.6)) * (0.15 if overcast else 1.0)
    return Light(
        sun_to=f32((np.cos(turn) * np.cos(height), np.sin(turn) * np.cos(height), np.sin(height))),
        sun=f32((1.0, 0.55 + 0.4 * warm, 0.35 + 0.55 * warm)) * f32(strong),
        sky=f32((0.58, 0.64, 0.72)) * f32(dice.between(0.6, 1.1) * (1.5 if overcast else 1.0)),
        ground=f32((0.40, 0.36, 0.29)) * f32(dice.between(0.6, 1.0)),
        lamp_at=f32((0, 0, 0)),
        lamp=f32((0, 0, 0)),
        haze=f32((0.62, 0.68, 0.75, 0.0 if indoors else dice.between(0.002, 0.012))),
    )


def infrared(camera: Camera, lamp: float, rest: float) -> Light:
    """Return infrared light: the lamp of the camera, and weak ambient light."""
    return Light(
        sun_to=f32((0.2, 0.1, 0.97)),
        sun=f32((0, 0, 0)),
        sky=f32((rest, rest, rest)),
        ground=f32((rest, rest, rest)) * f32(0.5),
        lamp_at=f32((camera.at[0], camera.at[1], camera.at[2] + 0.06)),
        lamp=f32((lamp, lamp, lamp)),
        haze=f32((0, 0, 0, 0)),
    )


def a_place(dice: Dice, *, dark: bool) -> tuple[Place, Room]:
    return _a_stall(dice) if dice.chance(0.55) else _a_yard(dice, dark=dark)


def _a_stall(dice: Dice) -> tuple[Place, Room]:
    design = stall.Stall(
        size_x=dice.between(3.2, 5.0),
        size_y=dice.between(3.2, 4.6),
        height=dice.between(2.5, 3.4),
        wood=dice.tone(dice.one(WOODS), 12),
        plaster=dice.tone((196, 188, 172), 26),
        boarded=dice.chance(0.5),
        bedding="straw" if dice.chance(0.7) else "sand",
        front=dice.chance(0.2),
        net=dice.chance(0.5),
        seed=dice.below(1 << 30),
    )
    room = Room(low=(0, 0), high=(design.size_x, design.size_y), ceiling=design.height)
    return stall.build(design, daylight(dice, indoors=True)), room


def _a_yard(dice: Dice, *, dark: bool) -> tuple[Place, Room]:
    overcast = dice.chance(0.3)
    field = yard.Yard(
        kind=dice.one(("grass", "grass", "sand", "concrete")),
        fence_m=dice.between(2.5, 12) if dice.chance(0.65) else None,
        rails=dice.tone((222, 218, 208), 20) if dice.chance(0.5) else dice.tone(dice.one(WOODS), 12),
        barn=dice.chance(0.35) and not dark,
        trees=dice.below(26),
        overcast=overcast,
        seed=dice.below(1 << 30),
    )
    place = yard.build(field, daylight(dice, indoors=False, overcast=overcast))
    room = Room(low=(-3, -2), high=(3, 2), ceiling=None)
    return (replace(place, sky=NIGHT_SKY) if dark else place), room


def clutter(dice: Dice, room: Room, actors: list[Actor]) -> list[Mesh]:
    """Return objects that can hide subjects, and a bale under a person who sits above the ground."""
    out = [seat for actor in actors if actor.behaviour == "sitting" for seat in _seat(actor)]
    for _ in range(dice.below(4)):
        x, y = room.spot(dice, 0.3)
        near = any(np.hypot(a.middle[0] - x, a.middle[1] - y) < 1.0 for a in actors)
        if not near or dice.chance(0.3):
            out += dice.one((_bale, _barrel, _post, _chair, _sack, _bucket))(dice, x, y)
    return out


def _seat(actor: Actor) -> list[Mesh]:
    x, y, z = (float(v) for v in (actor.frames[0] @ [-0.12, 0, 0.86, 1])[:3])
    return [box((x - 0.25, y - 0.25, 0), (x + 0.25, y + 0.25, z), Stuff.HAY, STRAW)] if z > LOW_M else []


def _bale(dice: Dice, x: float, y: float) -> list[Mesh]:
    return [box((x - 0.45, y - 0.25, 0), (x + 0.45, y + 0.25, dice.between(0.3, 0.5)), Stuff.HAY, STRAW)]


def _barrel(dice: Dice, x: float, y: float) -> list[Mesh]:
    path = np.array([[x, y, 0], [x, y, dice.between(0.5, 1.1)]])
    return [geometry.tube(path, (0.28, 0.28), Stuff.PLASTIC, dice.colour(), 16)]


def _post(dice: Dice, x: float, y: float) -> list[Mesh]:
    tone = dice.tone(dice.one(WOODS), 12)
    return [box((x - 0.04, y - 0.04, 0), (x + 0.04, y + 0.04, 2.2), Stuff.PLANKS, tone)]


def _chair(dice: Dice, x: float, y: float) -> list[Mesh]:
    tone = dice.colour()
    feet = [(x + a, y + b) for a in (-0.2, 0.16) for b in (-0.2, 0.16)]
    legs = [box((a, b, 0), (a + 0.04, b + 0.04, 0.45), Stuff.METAL, tone) for a, b in feet]
    seat = box((x - 0.2, y - 0.2, 0.45), (x + 0.2, y + 0.2, 0.5), Stuff.PLASTIC, tone)
    return [*legs, seat, box((x - 0.2, y + 0.16, 0.5), (x + 0.2, y + 0.2, 0.95), Stuff.PLASTIC, tone)]


def _bucket(dice: Dice, x: float, y: float) -> list[Mesh]:
    """On the ground, or hung."""
    return stall.bucket((x, y, 0.0 if dice.chance(0.6) else dice.between(0.5, 0.9)), dice.colour())


def _sack(dice: Dice, x: float, y: float) -> list[Mesh]:
    return [ball((x, y, 0.3), (0.4, 0.3, 0.3), Stuff.CLOTH, dice.colour(), 9)]
