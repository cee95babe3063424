"""Random pictures: a place, a light, a camera and whoever is there, all from one seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from tools.synth import geometry, horse, horse_pose, person, person_pose, pose, stall, yard
from tools.synth.body import Body
from tools.synth.camera import Camera, Sensor
from tools.synth.geometry import RGB, Mesh, Stuff, ball, box
from tools.synth.horse_coat import COATS, Coat
from tools.synth.person import HEADWEAR, Outfit
from tools.synth.pose import Pose
from tools.synth.shade import Light
from tools.synth.stage import Actor, Place, Stage
from tools.synth.truth import Truth
from tools.synth.types import F32, U8

Rng: TypeAlias = np.random.Generator
FINER = 1.5  # rendered this much larger, then averaged
SKINS: tuple[RGB, ...] = ((236, 192, 164), (214, 164, 132), (188, 136, 100), (142, 96, 68), (98, 66, 48), (62, 44, 34))


def picture(seed: int, number: int, size_wh: tuple[int, int], kind: str) -> tuple[U8, list[Truth]]:
    """One random picture (H, W, 3) BGR of a kind (`horse`, `person`, `both`, `empty`), and who is in it."""
    rng = np.random.default_rng([seed, number])
    if kind == "empty" and rng.random() < 0.25:
        return _nothing(size_wh, rng), []
    sensor = _sensor(rng)
    place, room = _place(rng, sensor.infrared)
    actors = _cast(rng, kind, room, sensor.infrared)
    camera = _aimed(rng, actors, room, size_wh)
    if sensor.infrared:
        place = replace(place, light=_infrared(rng, camera, actors))
    place = replace(place, mesh=geometry.joined([place.mesh, *_clutter(rng, room, actors)]))
    return Stage(place, camera, sensor, size_wh, FINER).render(actors, rng)


class Room:
    """Where subjects may stand and cameras may hang."""

    def __init__(self, low: tuple[float, float], high: tuple[float, float], ceiling: float | None) -> None:
        self.low, self.high, self.ceiling = np.array(low), np.array(high), ceiling

    @property
    def centre(self) -> np.ndarray:
        return (self.low + self.high) / 2

    def holds(self, actor: Actor) -> bool:
        """Nothing of it goes through a wall; the open side counts as one where cameras look in."""
        points = actor.body.some(actor.frames, 40)[:, :2]
        return self.ceiling is None or bool((points > self.low).all() and (points < self.high).all())

    def spot(self, rng: Rng, margin: float) -> tuple[float, float]:
        gap = np.minimum(margin, (self.high - self.low) * 0.45)
        x, y = rng.uniform(self.low + gap, self.high - gap)
        return float(x), float(y)


def _uniform(rng: Rng, low: float, high: float) -> float:
    return float(rng.uniform(low, high))


def _chance(rng: Rng, share: float) -> bool:
    return bool(rng.random() < share)


def _sensor(rng: Rng) -> Sensor:
    infrared = _chance(rng, 0.28)
    return Sensor(
        infrared=infrared,
        exposure=_uniform(rng, 0.7, 1.5),
        gamma=_uniform(rng, 2.0, 2.4),
        warmth=1.0 if infrared else _uniform(rng, 0.92, 1.10),
        saturation=_uniform(rng, 0.65, 1.15),
        blur_px=float(rng.exponential(0.35)),
        vignette=_uniform(rng, 0.0, 0.35),
        noise=_uniform(rng, 0.5, 6.0 if infrared else 4.0),
        grain_px=float(rng.choice([0.0, 0.5, 0.7, 1.0])),
    )


def daylight(rng: Rng, *, indoors: bool, overcast: bool = False) -> Light:
    """Sun, sky and what the ground gives back; lamps and windows indoors."""
    height = np.radians(_uniform(rng, 35, 75) if indoors else _uniform(rng, 18, 70))
    turn = _uniform(rng, 0, 2 * np.pi)
    sun_to = np.array([np.cos(turn) * np.cos(height), np.sin(turn) * np.cos(height), np.sin(height)], np.float32)
    warm = _uniform(rng, 0.75, 1.0)
    strong = (_uniform(rng, 0.8, 2.4) if indoors else _uniform(rng, 2.0, 3.6)) * (0.15 if overcast else 1.0)
    sky = np.float32([0.58, 0.64, 0.72]) * _uniform(rng, 0.6, 1.1) * (1.5 if overcast else 1.0)
    ground = np.float32([0.40, 0.36, 0.29]) * _uniform(rng, 0.6, 1.0)
    sun = np.float32([1.0, 0.55 + 0.4 * warm, 0.35 + 0.55 * warm]) * strong
    haze = np.float32([0.62, 0.68, 0.75, 0.0 if indoors else _uniform(rng, 0.002, 0.012)])
    none = np.zeros(3, np.float32)
    return Light(sun_to, sun.astype(np.float32), sky.astype(np.float32), ground.astype(np.float32), none, none, haze)


def _infrared(rng: Rng, camera: Camera, actors: list[Actor]) -> Light:
    """Bright enough for whom the camera looks at."""
    far_m = float(np.linalg.norm(_middle(actors[0]) - camera.at)) if actors else 4.0
    return infrared(camera, _uniform(rng, 0.5, 2.2) * (far_m**2 + 1.0), _uniform(rng, 0.01, 0.10))


def infrared(camera: Camera, lamp: float, rest: float) -> Light:
    """The camera's own lamp, and what little light there is."""
    grey = np.ones(3, np.float32)
    at = np.array(camera.at, np.float32) + np.float32([0, 0, 0.06])
    sun_to = np.float32([0.2, 0.1, 0.97])
    haze = np.float32([0.0, 0.0, 0.0, 0.0])
    return Light(sun_to, grey * 0, grey * rest, grey * rest * 0.5, at, grey * lamp, haze)


def _place(rng: Rng, dark: bool) -> tuple[Place, Room]:
    if _chance(rng, 0.55):
        design = stall.Stall(
            size_x=_uniform(rng, 3.2, 5.0),
            size_y=_uniform(rng, 3.2, 4.6),
            height=_uniform(rng, 2.5, 3.4),
            wood=_wood(rng),
            plaster=_tone(rng, (196, 188, 172), 26),
            boarded=_chance(rng, 0.5),
            bedding="straw" if _chance(rng, 0.7) else "sand",
            front=_chance(rng, 0.2),
            net=_chance(rng, 0.5),
            seed=int(rng.integers(1 << 30)),
        )
        return stall.build(design, daylight(rng, indoors=True)), Room((0, 0), (design.size_x, design.size_y), design.height)
    overcast = _chance(rng, 0.3)
    field = yard.Yard(
        kind=str(rng.choice(["grass", "grass", "sand", "concrete"])),
        fence_m=_uniform(rng, 2.5, 12) if _chance(rng, 0.65) else None,
        rails=_tone(rng, (222, 218, 208), 20) if _chance(rng, 0.5) else _wood(rng),
        barn=_chance(rng, 0.35) and not dark,
        trees=int(rng.integers(0, 26)),
        overcast=overcast,
        seed=int(rng.integers(1 << 30)),
    )
    place = yard.build(field, daylight(rng, indoors=False, overcast=overcast))
    return (replace(place, sky=(np.float32([0.004] * 3), np.float32([0.002] * 3))) if dark else place), Room((-3, -2), (3, 2), None)


def _wood(rng: Rng) -> RGB:
    return _tone(rng, ((150, 108, 70), (118, 84, 58), (176, 140, 98), (132, 122, 110), (92, 70, 54))[int(rng.integers(5))], 12)


def _tone(rng: Rng, rgb: RGB, spread: float) -> RGB:
    share = np.array(rgb) / max(rgb)
    r, g, b = np.clip(rgb + rng.normal(0, spread) * share + rng.normal(0, spread / 5, 3), 4, 250)
    return float(r), float(g), float(b)


def _cast(rng: Rng, kind: str, room: Room, dark: bool) -> list[Actor]:
    """Who is there: the first is who the camera looks at."""
    if kind == "empty":
        return []
    first = ["person"] if kind == "person" else ["horse"]
    others = {"both": ["person"]}.get(kind, [])
    if kind != "both" and _chance(rng, 0.18):
        others = [kind]
    who = first + others
    if kind == "both" and _chance(rng, 0.4):
        who.reverse()
    made: dict[str, Callable[[Rng, bool], tuple[Body, Pose, float]]] = {"horse": _horse, "person": _person}
    actors: list[Actor] = []
    for one in who:
        actor = _placed(rng, room, *made[one](rng, dark), actors)
        actors += [actor] if actor else []
    return actors


def _placed(rng: Rng, room: Room, body: Body, held: Pose, size: float, others: list[Actor]) -> Actor | None:
    """Somewhere in the room where there is space; None when there is none beside the others."""
    for attempt in range(16):
        xy, heading = room.spot(rng, 1.2 if body.kind == "horse" else 0.5), _uniform(rng, -np.pi, np.pi)
        actor = Actor(
            body=body,
            frames=pose.settle(body, held, xy, heading, size),
            behaviour=held.behaviour,
            number=len(others),
        )
        if _apart(actor, others) and (room.holds(actor) or (attempt > 11 and not others)):
            return actor
    return None


def _apart(actor: Actor, others: list[Actor]) -> bool:
    """Nothing of it within a hand of the others."""
    mine = actor.body.some(actor.frames, 60)
    for other in others:
        theirs = other.body.some(other.frames, 60)
        if ((mine[:, None] - theirs[None]) ** 2).sum(axis=2).min() < 0.12**2:
            return False
    return True


def horse_pose_of(rng: Rng) -> Pose:
    """Any behaviour, at any moment of it, with a horse's own slackness."""
    pick = rng.random()
    h = horse_pose
    if pick < 0.26:
        held = pose.blend(h.STANDING, (h.ALERT, h.DOZING, h.NET)[int(rng.integers(3))], _uniform(rng, 0, 1))
    elif pick < 0.46:
        held = h.walk(_uniform(rng, 0, 1))
    elif pick < 0.58:
        held = pose.blend(h.FEEDING, h.STANDING, _uniform(rng, 0, 0.45))
    elif pick < 0.64:
        held = pose.blend(h.PAWING, h.PAWED, _uniform(rng, 0, 1))
    elif pick < 0.76:
        held = pose.blend(h.STERNAL, h.SLEEPING, _uniform(rng, 0, 1))
    elif pick < 0.84:
        held = pose.blend(h.LATERAL, h.STERNAL, _uniform(rng, 0, 0.25))
    elif pick < 0.89:
        held = h.rolled(_uniform(rng, 0, 1))
    else:
        held = pose.along((h.LYING_DOWN, h.RISING)[int(rng.integers(2))], _uniform(rng, 0.1, 0.95))
    mirror = pose.mirrored(held) if _chance(rng, 0.5) else held
    return pose.added(mirror, _slack(rng, mirror, 3.5) | {"neck": _turn(rng, 5, 8), "crest": _turn(rng, 4, 7), "head": _turn(rng, 5, 6)})


def _slack(rng: Rng, held: Pose, degrees: float) -> pose.Turns:
    return {name: (0.0, float(rng.normal(0, degrees)), 0.0) for name in sorted(held.turns)}


def _turn(rng: Rng, pitch: float, yaw: float) -> tuple[float, float, float]:
    return 0.0, float(rng.normal(0, pitch)), float(rng.normal(0, yaw))


def _horse(rng: Rng, dark: bool) -> tuple[Body, Pose, float]:
    body = horse.build(rng, coat(rng, dark), int(rng.integers(horse.SHAPES)), dark)
    return body, horse_pose_of(rng), _uniform(rng, 0.78, 1.08)


def coat(rng: Rng, dark: bool) -> Coat:
    """One of the coats, no two alike; in infrared, coats are paler than they look."""
    plain = COATS[int(rng.integers(len(COATS)))]
    socks = [float(rng.choice([0.0, 0.0, 0.16, 0.28, 0.42])) for _ in range(4)]
    lift = 70.0 if dark else 0.0
    return replace(
        plain,
        body=_paler(_tone(rng, plain.body, 14), lift),
        points=_paler(_tone(rng, plain.points, 8), 0.6 * lift),
        hair=_paler(_tone(rng, plain.hair, 12), 0.6 * lift),
        socks=(socks[0], socks[1], socks[2], socks[3]),
        blaze=float(rng.choice([0.0, 0.0, 0.012, 0.022, 0.04])),
    )


def _paler(rgb: RGB, lift: float) -> RGB:
    r, g, b = (c + lift * (1 - c / 255) for c in rgb)
    return r, g, b


def outfit(rng: Rng) -> Outfit:
    clothes = lambda: tuple(float(c) for c in np.clip(rng.normal(rng.uniform(30, 190), 45, 3), 8, 245))  # noqa: E731
    hair = ((34, 26, 22), (70, 48, 34), (112, 78, 48), (190, 156, 104), (150, 148, 146), (120, 58, 34))
    return Outfit(
        headwear=HEADWEAR[int(rng.integers(len(HEADWEAR)))],
        skin=_tone(rng, SKINS[int(rng.integers(len(SKINS)))], 8),
        hair=_tone(rng, hair[int(rng.integers(len(hair)))], 8),
        hat=clothes(),
        top=clothes(),
        trousers=clothes() if _chance(rng, 0.5) else _tone(rng, (58, 62, 78), 20),
        shoe=_tone(rng, (52, 44, 40), 20),
        short_sleeves=_chance(rng, 0.35),
        shorts=_chance(rng, 0.15),
        gloves=_chance(rng, 0.12),
    )


def person_pose_of(rng: Rng) -> Pose:
    p = person_pose
    if _chance(rng, 0.25):
        held = p.walk(_uniform(rng, 0, 1), arms=_chance(rng, 0.8))
    else:
        a, b = (p.POSES[int(i)] for i in rng.integers(len(p.POSES), size=2))
        held = pose.blend(a, b, _uniform(rng, 0, 0.3))
    mirror = pose.mirrored(held) if _chance(rng, 0.5) else held
    loose = {name: tuple(float(a) for a in rng.normal(0, (3, 5, 5))) for name in sorted(mirror.turns)}
    return pose.added(mirror, loose | {"head": (_turn(rng, 8, 0)[1], *_turn(rng, 10, 20)[1:])})  # type: ignore[arg-type]


def _person(rng: Rng, dark: bool) -> tuple[Body, Pose, float]:
    body = person.build(outfit(rng), int(rng.integers(person.SHAPES)), _uniform(rng, 0, 40))
    tall = _uniform(rng, 0.62, 0.85) if _chance(rng, 0.12) else _uniform(rng, 0.88, 1.1)
    return body, person_pose_of(rng), tall


def _middle(actor: Actor) -> np.ndarray:
    points = actor.body.some(actor.frames, 40)
    return np.asarray((points.min(axis=0) + points.max(axis=0)) / 2, np.float64)


def _aimed(rng: Rng, actors: list[Actor], room: Room, size_wh: tuple[int, int]) -> Camera:
    """A camera that sees enough of whom it looks at: half in most pictures, a quarter in the hard ones."""
    if not actors:
        return _camera(rng, np.array([*room.centre, 0.9]), room, 2.0, hard=False)
    hard = _chance(rng, 0.25)
    points = actors[0].body.some(actors[0].frames, 40).astype(np.float64)
    size_m = float((points.max(axis=0) - points.min(axis=0)).max())
    for _ in range(20):
        camera = _camera(rng, _middle(actors[0]), room, size_m, hard=hard)
        xyz = camera.pixels(points, size_wh)
        inside = ((xyz[:, 2] > 0.4) & (xyz[:, :2] > 0).all(axis=1) & (xyz[:, :2] < size_wh).all(axis=1)).mean()
        if (0.3 < inside < 0.9) if hard else inside > 0.85:
            break
    return camera


def _camera(rng: Rng, target: np.ndarray, room: Room, size_m: float, *, hard: bool) -> Camera:
    """From a corner under the ceiling, from eye level, from a fence; sometimes so near that it cuts."""
    far = _uniform(rng, 1.5, 3.0) if hard else (_uniform(rng, 2.4, 6.0) if room.ceiling else float(np.exp(rng.uniform(0.9, 2.7))))
    height = _uniform(rng, 1.8, 2.6 if room.ceiling else 4.5) if _chance(rng, 0.55) else _uniform(rng, 0.7, 1.9)
    turn = _uniform(rng, -np.pi, np.pi)
    if room.ceiling:
        turn = _uniform(rng, -np.pi * 0.95, -np.pi * 0.05)
        height = min(height, room.ceiling - 0.15)
    at = target[:2] + far * np.array([np.cos(turn), np.sin(turn)])
    if room.ceiling:
        at[0] = np.clip(at[0], room.low[0] + 0.15, room.high[0] - 0.15)
        at[1] = max(at[1], 0.2 if _chance(rng, 0.5) else -5.0)
    reach = max(float(np.linalg.norm([*(at - target[:2]), height - target[2]])), 0.8)
    span = size_m * (_uniform(rng, 0.75, 1.4) if hard else float(np.exp(rng.uniform(0.5, 1.5))))
    fov = float(np.clip(np.degrees(2 * np.arctan(span / 2 / reach)), 14, 105))
    aim = target + rng.normal(0, 0.12 * span, 3) * [1, 1, 0.6]
    return Camera(
        at=(float(at[0]), float(at[1]), height),
        to=(float(aim[0]), float(aim[1]), float(aim[2])),
        fov_deg=fov,
        roll_deg=float(rng.normal(0, 2.5)),
        barrel=_uniform(rng, 0.0, 0.14),
    )


def _clutter(rng: Rng, room: Room, actors: list[Actor]) -> list[Mesh]:
    """Things that are no subjects and sometimes hide them: bales, bars, barrels, barrows, chairs."""
    out: list[Mesh] = [_bale(a) for a in actors if a.behaviour == "sitting"]
    for _ in range(int(rng.integers(0, 4))):
        x, y = room.spot(rng, 0.3)
        near = any(np.hypot(*(_middle(a)[:2] - (x, y))) < 1.0 for a in actors)
        if near and _chance(rng, 0.7):
            continue
        out += _thing(rng, x, y)
    return out


def _bale(actor: Actor) -> Mesh:
    hips = actor.frames[0] @ [-0.12, 0, 0.86, 1]
    x, y, z = float(hips[0]), float(hips[1]), max(float(hips[2]), 0.1)
    return box((x - 0.25, y - 0.25, 0), (x + 0.25, y + 0.25, z), Stuff.HAY, (186, 162, 96))


def _thing(rng: Rng, x: float, y: float) -> list[Mesh]:
    tone, pick = _tone(rng, (110, 104, 96), 120), int(rng.integers(5))
    if pick == 0:
        return [box((x - 0.45, y - 0.25, 0), (x + 0.45, y + 0.25, _uniform(rng, 0.3, 0.5)), Stuff.HAY, (186, 162, 96))]
    if pick == 1:
        h = _uniform(rng, 0.5, 1.1)
        return [geometry.tube(np.array([[x, y, 0], [x, y, h]]), (0.28, 0.28), Stuff.PLASTIC, tone, 16)]
    if pick == 2:
        return [box((x - 0.04, y - 0.04, 0), (x + 0.04, y + 0.04, 2.2), Stuff.PLANKS, _wood(rng))]
    if pick == 3:
        legs = [box((x + a, y + b, 0), (x + a + 0.04, y + b + 0.04, 0.45), Stuff.METAL, tone) for a in (-0.2, 0.16) for b in (-0.2, 0.16)]
        return [*legs, box((x - 0.2, y - 0.2, 0.45), (x + 0.2, y + 0.2, 0.5), Stuff.PLASTIC, tone), box((x - 0.2, y + 0.16, 0.5), (x + 0.2, y + 0.2, 0.95), Stuff.PLASTIC, tone)]
    return [ball((x, y, 0.3), (0.4, 0.3, 0.3), Stuff.CLOTH, tone, 9)]


def _nothing(size_wh: tuple[int, int], rng: Rng) -> U8:
    """No place at all: flat, a gradient, or lumps of colour."""
    w, h = size_wh
    a, b = rng.uniform(0, 255, (2, 3))
    pick = int(rng.integers(3))
    slope = np.linspace(0, 1, h)[:, None, None] if _chance(rng, 0.5) else np.linspace(0, 1, w)[None, :, None]
    flat = np.broadcast_to(a + (b - a) * slope * (pick > 0), (h, w, 3))
    if pick == 2:
        import cv2  # noqa: PLC0415

        coarse = rng.normal(0, 60, (int(rng.integers(3, 30)), int(rng.integers(3, 40)), 3)).astype(np.float32)
        flat = flat + cv2.resize(coarse, (w, h), interpolation=cv2.INTER_CUBIC)
    return np.clip(flat + rng.normal(0, rng.uniform(0, 6), (h, w, 3)), 0, 255).astype(np.uint8)
