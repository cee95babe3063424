"""The few pictures that show what the renderer draws."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from tools.synth import horse, horse_pose, person, person_pose, pose, stall, yard
from tools.synth.body import Body
from tools.synth.camera import Camera, Sensor
from tools.synth.horse_coat import COATS, Coat
from tools.synth.person import Outfit
from tools.synth.pose import Pose
from tools.synth.shade import Light
from tools.synth.stage import Actor, Place, Stage
from tools.synth.surroundings import infrared
from tools.synth.types import U8, f32

SIZE_WH, FINER = (640, 360), 2.0
CORNER = Camera(at=(3.35, -1.7, 2.3), to=(1.85, 1.9, 0.82), fov_deg=68, barrel=0.08)
FENCE = Camera(at=(-1.2, -5.2, 1.7), to=(0.1, 0.4, 0.85), fov_deg=44)
COAT_OF = {coat.name: coat for coat in COATS}


def sunlight(sun_to: tuple[float, float, float], strength: float, *, haze: float = 0.0) -> Light:
    direction = f32(sun_to) / f32(np.linalg.norm(sun_to))
    none, sun = f32((0, 0, 0)), f32((1.0, 0.93, 0.80)) * f32(strength)
    return Light(
        direction, sun, f32((0.52, 0.57, 0.64)), f32((0.38, 0.33, 0.26)), none, none, f32((0.62, 0.68, 0.75, haze))
    )


def _horse(
    name: str, held: Pose, xy: tuple[float, float], degrees: float, *, dark: bool = False, blaze: float = 0.02
) -> Actor:
    coat: Coat = replace(COAT_OF[name], blaze=blaze, socks=(0.0, 0.24, 0.3, 0.0))
    body = horse.build(np.random.default_rng(len(name)), coat, 0, infrared=dark)
    return _actor(body, held, xy, degrees)


def _actor(body: Body, held: Pose, xy: tuple[float, float], degrees: float) -> Actor:
    frames = pose.settle(body, held, xy, float(np.radians(degrees)))
    return Actor(body=body, frames=frames, behaviour=held.behaviour)


def _stall(light: Light, seed: int, **design: object) -> Place:
    return stall.build(replace(stall.Stall(seed=seed), **design), light)  # type: ignore[arg-type]


def _shown(place: Place, camera: Camera, actors: list[Actor], sensor: Sensor) -> U8:
    image, _ = Stage(place, camera, sensor, SIZE_WH, FINER).render(actors, np.random.default_rng(1))
    return image


def stall_by_day() -> U8:
    light = sunlight((-0.35, -0.5, 0.85), 2.1)
    actor = _horse("bay", horse_pose.ALERT, (1.9, 1.9), 206)
    return _shown(_stall(light, 2), CORNER, [actor], Sensor(noise=1.2))


def stall_by_night() -> U8:
    actor = _horse("palomino", horse_pose.STERNAL, (2.0, 1.8), 214, dark=True)
    return _shown(
        _stall(infrared(CORNER, 16, 0.04), 8), CORNER, [actor], Sensor(infrared=True, noise=2.2, vignette=0.3)
    )


def paddock() -> U8:
    place = yard.build(yard.Yard(fence_m=4.5, trees=22, seed=5), sunlight((-0.6, -0.7, 0.8), 2.7, haze=0.004))
    lead = Outfit(headwear="helmet", top=(150, 52, 48), trousers=(196, 186, 164), shoe=(40, 32, 28))
    actors = [
        _horse("pinto", horse_pose.walk(0.1), (0.2, 0.6), 186),
        _actor(person.build(lead), person_pose.walk(0.2), (-1.35, -0.35), 186),
    ]
    return _shown(place, FENCE, actors, Sensor(noise=1.0))


def rolling() -> U8:
    place = yard.build(
        yard.Yard(kind="sand", fence_m=3.4, trees=18, seed=9), sunlight((0.6, -0.6, 0.7), 2.6, haze=0.004)
    )
    return _shown(place, FENCE, [_horse("chestnut", horse_pose.rolled(0.5), (0.3, 0.2), 170)], Sensor(noise=1.0))


def grooming() -> U8:
    place = _stall(sunlight((0.3, -0.6, 0.9), 2.0), 21, boarded=False, size_x=4.4)
    groom = person.build(Outfit(headwear="tail", top=(64, 96, 88), trousers=(58, 60, 72), hair=(120, 84, 52)))
    horse_ = _horse("steel grey", horse_pose.STANDING, (2.2, 2.0), 184)
    return _shown(place, CORNER, [horse_, _actor(groom, person_pose.GROOMING, (1.75, 0.95), 84)], Sensor(noise=1.2))


def rising() -> U8:
    place = _stall(infrared(CORNER, 16, 0.04), 14, boarded=False)
    held = pose.along(horse_pose.RISING, 0.42)
    return _shown(
        place, CORNER, [_horse("buckskin", held, (2.15, 1.9), 205, dark=True)], Sensor(infrared=True, noise=2.2)
    )


STILLS: dict[str, Callable[[], U8]] = {
    f.__name__: f for f in (stall_by_day, stall_by_night, paddock, grooming, rolling, rising)
}


def stills() -> Iterator[tuple[str, U8]]:
    """Every still by its name."""
    for name, drawn in STILLS.items():
        yield name, drawn()
