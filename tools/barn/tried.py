"""What the stall monitor finds with one of its thresholds changed, in parts of simulated days."""

from __future__ import annotations

from contextlib import AbstractContextManager
from statistics import median
from typing import NamedTuple
from unittest.mock import patch

from edged.behaviour.horse import thresholds
from tools.barn.figures import delay_min, total
from tools.barn.trial import CROWDED, EXPECTED, Outcome, logged_day, rules

FIRST_SEED = 50_010  # of the first part; each of the others has the next one
DROPPED = (0.1, 0.2)  # share of the keypoints, in turn
STANDS_MIN = -25.0  # from the first signs: before it lies, a horse must have been seen standing
PARTS: tuple[tuple[str | None, tuple[float, float] | None], ...] = (  # trouble, and minutes from its first signs
    (CROWDED, None),
    ("colic", (STANDS_MIN, 50.0)),
    ("colic", (STANDS_MIN, 50.0)),
    ("cast", (STANDS_MIN, 20.0)),
    ("foaling", (STANDS_MIN, 60.0)),
    ("too-long", (STANDS_MIN, 75.0)),
    ("box-walking", (STANDS_MIN, 15.0)),
    (None, (16 * 60.0, 18 * 60.0)),  # from midnight: around the evening's feed
)  # no collapse: its alert needs six hours
TRIED = (  # class and name in thresholds.py; of a bout its least length
    "Posture.window_s",
    "Posture.lying_height",
    "Posture.lateral_leg_spread",
    "Behaviours.walk_length",
    "Behaviours.paw_amplitude",
    "Behaviours.thrash_speed",
    "Behaviours.fall_height",
    "BOUTS.flank-look",
    "Horse.on_back_count",
    "Horse.idle_after_s",
)
SHARES = ("Behaviours.fall_height",)  # below 1


class Scores(NamedTuple):
    """Shares but for the last. NaN: there was none to judge."""

    posture: float  # of the seconds with the right posture
    act_recall: float
    act_precision: float
    alert_recall: float  # of the troubles
    alert_precision: float  # of the warnings and critical alerts
    delay_min: float  # median, from the first signs to the alert


class Result(NamedTuple):
    scores: Scores
    judged: tuple[int, int]  # acts, troubles


def run(threshold: str, factor: float) -> Result:
    """All parts, with this threshold times `factor`."""
    with changed(threshold, value(threshold, factor)):
        return judge(outcomes())


def value(threshold: str, factor: float) -> float:
    table, name = threshold.split(".")
    number = thresholds.BOUTS[name].min_s if table == "BOUTS" else getattr(getattr(thresholds, table), name)
    return min(number * factor, 0.95) if threshold in SHARES else type(number)(number * factor)


def changed(threshold: str, number: float) -> AbstractContextManager[object]:
    """The threshold is `number` while the block runs."""
    table, name = threshold.split(".")
    if table == "BOUTS":
        return patch.dict(thresholds.BOUTS, {name: thresholds.BOUTS[name]._replace(min_s=number)})
    return patch.object(getattr(thresholds, table), name, number)


def outcomes() -> list[Outcome]:
    return [
        logged_day(FIRST_SEED + number, trouble, DROPPED[number % 2], around_min=part)[0]
        for number, (trouble, part) in enumerate(PARTS)
    ]


def judge(found: list[Outcome]) -> Result:
    postures = total(one.postures for one in found)
    right, missed, false = (total(getattr(one, key) for one in found).total() for key in ("right", "missed", "false"))
    troubles = [one for one in found if one.trouble in EXPECTED]
    delays = [delay_min(one, EXPECTED[str(one.trouble)]) for one in troubles]
    named = [delay for delay in delays if delay is not None]
    severities = rules()
    alerts = [
        kind in EXPECTED.get(str(one.trouble), ())
        for one in found
        for kind, _ in one.found
        if one.trouble != CROWDED and severities[kind] != "info"
    ]
    scores = Scores(
        sum(seconds for (truth, estimate), seconds in postures.items() if truth == estimate) / postures.total(),
        right / (right + missed),
        right / max(right + false, 1),
        len(named) / len(troubles),
        sum(alerts) / len(alerts) if alerts else float("nan"),
        median(named) if named else float("nan"),
    )
    return Result(scores, (right + missed, len(troubles)))
