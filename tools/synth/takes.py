"""Clips of a horse in a random stall with a given sequence of behaviours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from tools.synth import horse, person, stall
from tools.synth.camera import Camera, Sensor
from tools.synth.dice import Dice
from tools.synth.stage import Stage
from tools.synth.story import ACTS, Act, Horse, Walker, play
from tools.synth.subjects import coat, outfit
from tools.synth.surroundings import WOODS, daylight, infrared
from tools.synth.truth import Truth
from tools.synth.types import U8

FINER = 1.5


def acts(text: str) -> list[Act]:
    """Return the acts of a text such as `standing:3,rising:4`. Raises ValueError."""
    out = []
    for part in text.split(","):
        what, _, seconds = part.partition(":")
        if what not in ACTS:
            raise ValueError(f"{what!r} is no act; want one of {', '.join(ACTS)}")
        out.append(Act(what=what, seconds=float(seconds)))
    return out


def take(
    programme: Sequence[Act],
    size_wh: tuple[int, int],
    fps: int,
    *,
    seed: int,
    night: bool = False,
    passer: bool = False,
) -> Iterator[tuple[U8, list[Truth]]]:
    """Yield every frame of the programme, and its subjects."""
    dice, seconds = Dice(np.random.default_rng([19, seed])), sum(act.seconds for act in programme)
    stage, design = _watched(dice, size_wh, night=night)
    one = _kept(dice, design, programme, night=night)
    walker = _passer(dice, design, seconds) if passer else None
    yield from play(stage, one, walker, seconds, fps)


def glimpse(dice: Dice, size_wh: tuple[int, int]) -> tuple[U8, list[Truth]]:
    """Return one image of such a clip: a horse, sometimes with a person passing."""
    night, seconds = dice.chance(0.4), 8.0
    stage, design = _watched(dice, size_wh, night=night)
    one = _kept(dice, design, [Act(what=dice.one(tuple(ACTS)), seconds=seconds)], night=night)
    walker = _passer(dice, design, seconds)
    t_s = dice.between(0, seconds)
    there = (one.at(t_s, 1) if dice.chance(0.7) else None, walker.at(t_s, 2) if dice.chance(0.3) else None)
    return stage.render([actor for actor in there if actor], dice.rng)


def _watched(dice: Dice, size_wh: tuple[int, int], *, night: bool) -> tuple[Stage, stall.Stall]:
    """Return a stall as a monitoring camera sees it."""
    design = stall.Stall(
        size_x=dice.between(3.8, 4.6), size_y=dice.between(3.4, 4.0), wood=dice.one(WOODS), seed=dice.below(1 << 30)
    )
    middle = design.size_x / 2
    camera = Camera(
        at=(middle + dice.between(-0.8, 0.8), dice.between(-3.8, -3.0), dice.between(2.3, 2.7)),
        to=(middle, 1.3, 0.7),
        fov_deg=dice.between(54, 60),
        barrel=dice.between(0, 0.1),
    )
    light = infrared(camera, dice.between(18, 30), 0.05) if night else daylight(dice, indoors=True)
    sensor = Sensor(infrared=night, noise=dice.between(1.5, 3.0), blur_px=0.3)
    return Stage(stall.build(design, light), camera, sensor, size_wh, FINER), design


def _kept(dice: Dice, design: stall.Stall, programme: Sequence[Act], *, night: bool) -> Horse:
    body = horse.build(dice.rng, coat(dice, dark=night), dice.below(horse.SHAPES), infrared=night)
    heading = np.radians(dice.between(-20, 20)) + np.pi * dice.below(2)
    return Horse(body=body, acts=programme, start_xy=(design.size_x / 2, design.size_y / 2), heading=float(heading))


def _passer(dice: Dice, design: stall.Stall, seconds: float) -> Walker:
    body = person.build(outfit(dice), dice.below(person.SHAPES))
    return Walker(body=body, start_xy=(-1.5, -0.1), heading=0.0, from_s=0.2 * seconds, until_s=0.2 * seconds + 8)
