"""`python -m tools.barn OUT --days 200 --crowded 20`: simulates stall-days; writes tables and a picture.

Three days in ten have a trouble. On half of the days a tenth of the keypoints is missing, on the others a fifth. A run
that was interrupted continues when it is started again. `figures` writes the report.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import fields
from pathlib import Path
from typing import Any

import cv2

from edged.drawing.day import draw_day
from tools.barn.figures import POSTURES, report, total
from tools.barn.life import TROUBLES
from tools.barn.picture import confusion
from tools.barn.trial import CROWDED, Outcome, logged_day, run_day
from tools.reports import writer

DROPPED = (0.1, 0.2)
CROWDED_SEEDS_FROM = 200  # after the days' seeds

Job = tuple[int, str | None, float]  # as `run` takes it


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.barn", description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--days", type=int, default=200)
    parser.add_argument(
        "--crowded", type=int, default=0, help="simulations of four hours in which every behaviour occurs"
    )
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--picture", action="store_true", help="only the picture of one day with colic, OUT/day.webp")
    args = parser.parse_args()
    plan = args.days, args.crowded, args.seed
    args.out.mkdir(parents=True, exist_ok=True)
    if args.picture:
        _, day = logged_day(args.seed, "colic", DROPPED[0])
        cv2.imwrite(str(args.out / "day.webp"), draw_day("stall-1", day))
        return
    jobs = list(plan_jobs(*plan))
    outcomes = [one for one in read_outcomes(args.out) if (one.seed, one.trouble, one.dropped) in jobs]
    for outcome in run_jobs(jobs, outcomes, args.processes):
        outcomes.append(outcome)
        write_report(args.out, outcomes, *plan)
        print(f"{len(outcomes)}/{len(jobs)}", flush=True)
    write_report(args.out, outcomes, *plan)


def plan_jobs(days: int, crowded: int, seed: int) -> Iterator[Job]:
    """The crowded simulations first: they are short."""
    for i in range(crowded):
        yield seed + CROWDED_SEEDS_FROM + i, CROWDED, DROPPED[i % 2]
    troubles = list(TROUBLES)
    for i in range(days):
        yield seed + i, troubles[i // 10 * 3 % 6 + i % 10] if i % 10 < 3 else None, DROPPED[i % 2]


def run_jobs(jobs: list[Job], outcomes: list[Outcome], processes: int) -> Iterator[Outcome]:
    """The outcomes of the jobs that have none yet, as they come."""
    known = {(one.seed, one.trouble, one.dropped) for one in outcomes}
    with ProcessPoolExecutor(processes) as pool:
        for job in as_completed([pool.submit(run_day, *one) for one in jobs if one not in known]):
            yield job.result()


def write_report(out: Path, outcomes: list[Outcome], days: int, crowded: int, seed: int) -> None:
    """Write the report of the days so far, so that an interrupted run has one too."""
    figures = {"outcomes": [to_json(one) for one in outcomes]}
    writer.write(out, report(outcomes, days, crowded, seed), figures, name="outcomes")
    confusion(out / "postures.webp", total(one.postures for one in outcomes), POSTURES[:3], POSTURES)


def read_outcomes(out: Path) -> list[Outcome]:
    path = out / "outcomes.json"
    return [from_json(table) for table in json.loads(path.read_text())["outcomes"]] if path.exists() else []


def to_json(one: Outcome) -> dict[str, Any]:
    table = {each.name: getattr(one, each.name) for each in fields(one)}
    return {**table, "postures": {"/".join(pair): seconds for pair, seconds in one.postures.items()}}


def from_json(table: dict[str, Any]) -> Outcome:
    """The inverse of `to_json`."""
    counters = {name: Counter(table[name]) for name in ("right", "missed", "false")}
    postures = Counter({tuple(pair.split("/")): seconds for pair, seconds in table["postures"].items()})
    found = [(kind, minute) for kind, minute in table["found"]]
    return Outcome(**{**table, **counters, "postures": postures, "bouts": tuple(table["bouts"]), "found": found})


if __name__ == "__main__":
    main()
