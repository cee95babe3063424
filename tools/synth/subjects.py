"""Random horses and people: bodies, clothes, poses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tools.synth import horse, horse_pose, person, person_pose, pose
from tools.synth.body import Body
from tools.synth.dice import Dice
from tools.synth.geometry import RGB
from tools.synth.horse_coat import COATS, Coat
from tools.synth.person import HEADWEAR, Outfit
from tools.synth.pose import Pose, Turns

SKINS: tuple[RGB, ...] = ((236, 192, 164), (214, 164, 132), (188, 136, 100), (142, 96, 68), (98, 66, 48), (62, 44, 34))
HAIRS: tuple[RGB, ...] = ((34, 26, 22), (70, 48, 34), (112, 78, 48), (190, 156, 104), (150, 148, 146), (120, 58, 34))
SOCKS_M = (0.0, 0.0, 0.16, 0.28, 0.42)
BLAZES_M = (0.0, 0.0, 0.012, 0.022, 0.04)
LYING = 0.64  # of `_horse_key`'s shares: what comes after is down, or on its way
PALER = 70.0  # of 255: how much more infrared a dark coat returns


def a_horse(dice: Dice, *, dark: bool, lying: bool = False) -> tuple[Body, Pose, float]:
    """Return a body, its pose and its size; with `lying` it does not stand."""
    body = horse.build(dice.rng, coat(dice, dark=dark), dice.below(horse.SHAPES), infrared=dark)
    return body, horse_held(dice, lying=lying), dice.between(0.78, 1.08)


def a_person(dice: Dice) -> tuple[Body, Pose, float]:
    """Return a body, its pose and its size; some are children."""
    body = person.build(outfit(dice), dice.below(person.SHAPES), dice.between(0, 40))
    tall = dice.between(0.62, 0.85) if dice.chance(0.12) else dice.between(0.88, 1.1)
    return body, person_held(dice), tall


def coat(dice: Dice, *, dark: bool) -> Coat:
    """Return a random variant of a coat; coats are paler in infrared."""
    plain, lift = dice.one(COATS), PALER if dark else 0.0
    left, right, hind_left, hind_right = (dice.one(SOCKS_M) for _ in range(4))
    return replace(
        plain,
        body=_paler(dice.tone(plain.body, 14), lift),
        points=_paler(dice.tone(plain.points, 8), 0.6 * lift),
        hair=_paler(dice.tone(plain.hair, 12), 0.6 * lift),
        socks=(left, right, hind_left, hind_right),
        blaze=dice.one(BLAZES_M),
    )


def _paler(rgb: RGB, lift: float) -> RGB:
    r, g, b = (c + lift * (1 - c / 255) for c in rgb)
    return r, g, b


def outfit(dice: Dice) -> Outfit:
    return Outfit(
        headwear=dice.one(HEADWEAR),
        skin=dice.tone(dice.one(SKINS), 8),
        hair=dice.tone(dice.one(HAIRS), 8),
        hat=dice.colour(),
        top=dice.colour(),
        trousers=dice.colour() if dice.chance(0.5) else dice.tone((58, 62, 78), 20),
        shoe=dice.tone((52, 44, 40), 20),
        short_sleeves=dice.chance(0.35),
        shorts=dice.chance(0.15),
        gloves=dice.chance(0.12),
    )


def horse_held(dice: Dice, *, lying: bool = False) -> Pose:
    """Return the pose of a random behaviour at a random moment, with small variations."""
    held = _horse_key(dice, LYING if lying else 0.0)
    mirror = pose.mirrored(held) if dice.chance(0.5) else held
    slack: Turns = {name: dice.turn(0, 3.5, 0) for name in sorted(mirror.turns)}
    return pose.added(
        mirror, {**slack, "neck": dice.turn(0, 5, 8), "crest": dice.turn(0, 4, 7), "head": dice.turn(0, 5, 6)}
    )


def _horse_key(dice: Dice, least: float) -> Pose:
    """Of the behaviours below, listed by their shares summed up, one beyond `least`."""
    h, t = horse_pose, dice.between(0, 1)
    shares: dict[float, Callable[[], Pose]] = {
        0.26: lambda: pose.blend(h.STANDING, dice.one((h.ALERT, h.DOZING, h.NET)), t),
        0.46: lambda: h.walk(t),
        0.58: lambda: pose.blend(h.FEEDING, h.STANDING, 0.45 * t),
        0.64: lambda: pose.blend(h.PAWING, h.PAWED, t),
        0.76: lambda: pose.blend(h.STERNAL, h.SLEEPING, t),
        0.84: lambda: pose.blend(h.LATERAL, h.STERNAL, 0.25 * t),
        0.89: lambda: h.rolled(t),
        1.00: lambda: pose.along(dice.one((h.LYING_DOWN, h.RISING)), 0.1 + 0.85 * t),
    }
    pick = dice.between(least, 1)
    return next(make() for below, make in shares.items() if pick <= below)


def person_held(dice: Dice) -> Pose:
    """Return a walking pose, or an interpolation of two key poses."""
    p = person_pose
    if dice.chance(0.25):
        held = p.walk(dice.between(0, 1), arms=dice.chance(0.8))
    else:
        held = pose.blend(dice.one(p.POSES), dice.one(p.POSES), dice.between(0, 0.3))
    mirror = pose.mirrored(held) if dice.chance(0.5) else held
    loose: Turns = {name: dice.turn(3, 5, 5) for name in sorted(mirror.turns)}
    return pose.added(mirror, {**loose, "head": dice.turn(8, 10, 20)})
