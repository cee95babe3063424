"""`python -m tools.down`: people in every posture before `DownMonitor`; hits, false alarms and delays as a report.

Thresholds were chosen with `--first 0`, the report has other seeds. Downstream: tools/reports/down.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from edged.behaviour.down import DownMonitor
from edged.config.tables.down import DownConfig
from edged.config.tables.stall import StallConfig
from tools.down.people import POSTURES, Body, Camera, frame
from tools.reports.writer import number, share, table, write

OUT = Path(__file__).parents[1] / "reports/down"
HZ = 5.0
UPRIGHT_S, EPISODE_S, AFTER_S = 6.0, 60.0, 20.0
HEIGHTS_M = (2.2, 2.6, 3.0)  # of the camera
MISSED_LYING = 0.3  # share of frames in which a lying person is not found
NEW_ID = 0.05  # share of those, after which the person has another id
HIDDEN = 0.25  # share of episodes with the legs behind something
HOUR_S = 3600.0
DAILY = (
    "standing",
    "bending",
    "crouching",
    "kneeling",
    "sitting on a chair",
    "sitting on the floor",
    "sitting, knees up",
)
DAILY_WEIGHTS = (0.5, 0.1, 0.05, 0.05, 0.2, 0.05, 0.05)
TURN_S = (2.0, 30.0)  # how long a posture of a day lasts


@dataclass(frozen=True, slots=True)
class Episode:
    posture: str
    delay_s: float | None  # from lying down to the finding; None: there was none


def monitor(camera: Camera) -> DownMonitor:
    floor = StallConfig(floor=tuple(camera.corners_px), floor_m=camera.floor_m)
    return DownMonitor(DownConfig(enabled=True, after_s=AFTER_S), floor)


def body(camera: Camera, rng: np.random.Generator, *, hidden: float = HIDDEN) -> Body:
    half, near, depth = camera.floor_m[0] / 2 - 0.4, camera.near_m + 0.4, camera.floor_m[1] - 0.8
    return Body(
        height_m=float(np.clip(rng.normal(1.7, 0.1), 1.45, 1.95)),
        place_m=(float(rng.uniform(-half, half)), float(near + depth * rng.random())),
        facing_deg=float(rng.uniform(0, 360)),
        legs_hidden=bool(rng.random() < hidden),
    )


def episode(posture: str, camera: Camera, rng: np.random.Generator, *, hidden: float = HIDDEN) -> Episode:
    """A person stands, then is in this posture to the end."""
    down, who, identity = monitor(camera), body(camera, rng, hidden=hidden), 1
    for step in range(round(EPISODE_S * HZ)):
        t_s = step / HZ
        now = "standing" if t_s < UPRIGHT_S else posture
        missed = POSTURES[now].lies and rng.random() < MISSED_LYING
        identity += bool(missed and rng.random() < NEW_ID)
        down.process(frame(t_s, now, who, camera, rng, number=identity, seen=not missed))
        if down.findings(t_s):
            return Episode(posture, t_s - UPRIGHT_S)
    return Episode(posture, None)


def everyday(seconds: float, camera: Camera, rng: np.random.Generator) -> int:
    """How many alarms there are while nobody lies; after each one the person is another."""
    down, who, alarms, end_s, now = monitor(camera), body(camera, rng), 0, 0.0, "standing"
    for step in range(round(seconds * HZ)):
        t_s = step / HZ
        if t_s >= end_s:
            now, end_s = str(rng.choice(DAILY, p=DAILY_WEIGHTS)), t_s + float(rng.uniform(*TURN_S))
            who = body(camera, rng)
        down.process(frame(t_s, now, who, camera, rng, number=1, seen=True))
        if down.findings(t_s):
            alarms, down = alarms + 1, monitor(camera)
    return alarms


def run(first: int, episodes: int, hours: float) -> tuple[dict[str, list[Episode]], int]:
    """The episodes by posture, and the alarms of everyday life."""
    found: dict[str, list[Episode]] = defaultdict(list)
    for seed in range(first, first + episodes):
        rng, camera = np.random.default_rng(seed), Camera(height_m=HEIGHTS_M[seed % len(HEIGHTS_M)])
        for posture in POSTURES:
            found[posture].append(episode(posture, camera, rng))
    alarms = 0
    for place in range(round(hours)):
        rng, camera = np.random.default_rng(first + episodes + place), Camera(height_m=HEIGHTS_M[place % 3])
        alarms += everyday(HOUR_S, camera, rng)
    return found, alarms


def rows(found: dict[str, list[Episode]]) -> list[tuple[str, ...]]:
    return [
        (
            posture,
            "yes" if POSTURES[posture].lies else "no",
            str(len(own)),
            share(len(delays) / len(own)),
            number(median(delays) if delays else None, 0),
        )
        for posture, own in found.items()
        for delays in [[one.delay_s for one in own if one.delay_s is not None]]
    ]


def page(found: dict[str, list[Episode]], alarms: int, hours: float, first: int) -> list[str]:
    episodes = len(found["standing"])
    return [
        "# People who lie on the floor, simulated",
        "",
        f"`python -m tools.down --first {first} --episodes {episodes} --hours {hours:g}`. Stick people of 1.45 to "
        "1.95 m in every posture, facing anywhere on a floor of 4 x 4 m that begins 1.5 m from the camera, which hangs "
        f"at {', '.join(f'{one:g}' for one in HEIGHTS_M)} m. Keypoints are noisy, a fifth of those of lying people is "
        "missing, and so is the person in 30 % of the frames; in a quarter of the episodes no leg is seen. "
        f"`after_s = {AFTER_S:g}`, at {HZ:g} Hz, for {EPISODE_S:g} s. Not one person of flesh was seen: models find "
        "lying people less often than standing ones, and how much less is not known here. This is no medical device.",
        "",
        *table(("posture", "lies", "episodes", "alarm", "after, s"), rows(found)),
        "",
        f"Everyday life of {hours:g} h (standing, bending, crouching, kneeling, sitting; nobody lies or crawls): "
        f"{alarms} false alarms.",
        "",
        "Known limits: who stays on all fours, or half lies against a wall, looks like a person who lies. Who lies "
        "straight towards the camera or away from it is told by lengths along the floor alone, and with the legs seen.",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.down", description=__doc__)
    parser.add_argument("--first", type=int, default=1000)
    parser.add_argument("--episodes", type=int, default=30)
    parser.add_argument("--hours", type=float, default=2)
    args = parser.parse_args()
    found, alarms = run(args.first, args.episodes, args.hours)
    lines = page(found, alarms, args.hours, args.first)
    figures = {name: [one.delay_s for one in own] for name, own in found.items()}
    write(OUT, lines, {"delays_s": figures, "everyday_alarms": alarms}, name="down")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
