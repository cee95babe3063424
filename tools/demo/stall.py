"""The demonstration clip: by day a horse walks in, lies down, a person passes; by night it sleeps, and rises."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from tools.synth import horse, person, stall
from tools.synth.camera import Camera, Sensor
from tools.synth.horse_coat import COATS
from tools.synth.person import Outfit
from tools.synth.shade import Light
from tools.synth.stage import Stage
from tools.synth.story import Act, Horse, Walker, play
from tools.synth.surroundings import infrared
from tools.synth.truth import Truth
from tools.synth.types import U8, f32

SIZE_WH, FPS, FINER, CRF = (640, 360), 15, 2.0, 23
DAY_S, NIGHT_S = 10.6, 9.4
SHAPE = 1001  # bodies that are not in the training data
CAMERA = Camera(at=(2.75, -3.5, 2.55), to=(2.05, 1.2, 0.70), fov_deg=55, barrel=0.06)
STALL = stall.Stall(size_x=4.2, size_y=3.7, height=2.9, wood=(152, 112, 74), boarded=False, seed=77)
BAY = replace(COATS[0], socks=(0.0, 0.22, 0.3, 0.0), blaze=0.022)
PALE_BAY = replace(BAY, body=(168, 150, 138), points=(104, 98, 94), hair=(96, 92, 90))  # in infrared
GROOM = Outfit(headwear="tail", top=(44, 78, 118), trousers=(66, 60, 58), hair=(112, 78, 48))
WATCHMAN = Outfit(headwear="cap", top=(150, 140, 128), trousers=(110, 108, 104), hat=(60, 58, 56))


def _daylight() -> Light:
    return Light(
        sun_to=f32((-0.405, -0.495, 0.766)),
        sun=f32((1.9, 1.75, 1.5)),
        sky=f32((0.50, 0.54, 0.60)),
        ground=f32((0.36, 0.31, 0.24)),
        lamp_at=f32((0, 0, 0)),
        lamp=f32((0, 0, 0)),
        haze=f32((0, 0, 0, 0)),
    )


def _horse(rng: np.random.Generator, acts: list[Act], xy: tuple[float, float], *, night: bool) -> Horse:
    body = horse.build(rng, PALE_BAY if night else BAY, SHAPE, infrared=night)
    return Horse(body=body, acts=acts, start_xy=xy, heading=float(np.radians(194)))


def _day() -> tuple[Stage, Horse, Walker]:
    rng = np.random.default_rng(4001)
    place = stall.build(STALL, _daylight())
    stage = Stage(place, CAMERA, Sensor(noise=1.6, vignette=0.2, blur_px=0.3), SIZE_WH, FINER)
    acts = [Act(what="walking", seconds=1.3), Act(what="standing", seconds=1.2), Act(what="feeding", seconds=1.6)]
    acts += [Act(what="lying down", seconds=3.6), Act(what="sternal", seconds=9.0)]
    groom = person.build(GROOM, SHAPE)
    walker = Walker(body=groom, start_xy=(-1.9, 0.1), heading=0.0, from_s=1.9, until_s=9.4, size=0.97)
    return stage, _horse(rng, acts, (3.1, 2.05), night=False), walker


def _night() -> tuple[Stage, Horse, Walker]:
    rng = np.random.default_rng(4002)
    place = stall.build(STALL, infrared(CAMERA, 26.0, 0.05))
    sensor = Sensor(infrared=True, noise=2.4, vignette=0.30, blur_px=0.45, grain_px=0.7)
    acts = [Act(what="sleeping", seconds=2.6), Act(what="sternal", seconds=1.2), Act(what="rising", seconds=3.0)]
    acts += [Act(what="standing", seconds=1.0), Act(what="alert", seconds=9.0)]
    watchman = person.build(WATCHMAN, SHAPE + 1)
    walker = Walker(body=watchman, start_xy=(5.9, 0.1), heading=float(np.pi), from_s=0.0, until_s=9.0, size=1.02)
    return Stage(place, CAMERA, sensor, SIZE_WH, FINER), _horse(rng, acts, (1.95, 1.76), night=True), walker


def pictures() -> Iterator[tuple[U8, list[Truth]]]:
    """Yield every frame of the clip, and its subjects."""
    yield from play(*_day(), DAY_S, FPS)
    yield from play(*_night(), NIGHT_S, FPS)
