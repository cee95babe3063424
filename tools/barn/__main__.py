"""`python -m tools.barn OUT --days 200`: simulated stall-days through `edged.barn`; tables and confusion matrices.

Three days in ten have a trouble; on half of the days a tenth of the keypoints is missing, on the others a fifth.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import fields
from pathlib import Path
from typing import Any

from tools.barn.life import TROUBLES
from tools.barn.picture import confusion
from tools.barn.trial import COUNTED, CROWDED, EXPECTED, Outcome, rules, run

POSTURES = ("standing", "sternal", "lateral", "unknown")
MONTH_DAYS = 30
DROPPED = (0.1, 0.2)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.barn", description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--days", type=int, default=200)
    parser.add_argument("--crowded", type=int, default=0, help="lives of four hours in which everything happens")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    outcomes: list[Outcome] = []
    for outcome in played(args.seed, args.days, args.crowded, args.processes):
        outcomes.append(outcome)
        if len(outcomes) % 2 == 0 or len(outcomes) == args.days + args.crowded:
            written(args.out, outcomes)


def written(out: Path, outcomes: list[Outcome]) -> None:
    """The report of the days so far: a long run that is broken off has said something."""
    (out / "outcomes.json").write_text(json.dumps([_plain(one) for one in outcomes]))
    (out / "README.md").write_text("\n".join(report(outcomes)) + "\n")
    confusion(out / "postures.webp", total(one.postures for one in outcomes), POSTURES[:3], POSTURES)


def played(seed: int, days: int, lives: int, processes: int) -> Iterable[Outcome]:
    troubles = list(TROUBLES)
    with ProcessPoolExecutor(processes) as pool:
        jobs = [
            pool.submit(run, seed + i, troubles[i // 10 * 3 % 6 + i % 10] if i % 10 < 3 else None, DROPPED[i % 2])
            for i in range(days)
        ]
        jobs = [pool.submit(run, seed + days + i, CROWDED, DROPPED[i % 2]) for i in range(lives)] + jobs
        for number, job in enumerate(as_completed(jobs), 1):
            print(f"{number}/{days + lives}", flush=True)
            yield job.result()


def report(outcomes: list[Outcome]) -> list[str]:
    lives = [one for one in outcomes if one.trouble == CROWDED]
    days = [one for one in outcomes if one.trouble != CROWDED]
    return [
        "# How well a stall is understood, where everything is known",
        "",
        f"`python -m tools.barn OUT --days {len(days)} --crowded {len(lives)}`: simulated keypoints (a camera",
        "in a corner under the roof, the floor drawn and its size given, noise of 1.5 % of a body length, 10 or 20 %",
        "of the keypoints missing, half of those on the far side hidden, the camera away on one day in five). Nothing",
        "here is a claim about real horses: it shows that the rules do what they say.",
        *(
            ["", f"## {len(days)} days", "", *_postures(days), "", *_behaviours(days), "", *_alerts(days)]
            if days
            else []
        ),
        *(["", f"## {len(lives)} times four hours in which much happens"] if lives else []),
        *(["", *_postures(lives), "", *_behaviours(lives)] if lives else []),
    ]


def _postures(outcomes: list[Outcome]) -> list[str]:
    """Minutes said against minutes that were, and bouts of lying."""
    sums = total(one.postures for one in outcomes)
    rows = ["| posture | minutes there were | minutes said | apart |", "|---|---|---|---|"]
    for posture in POSTURES[:3]:
        was = sum(seconds for (truth, _), seconds in sums.items() if truth == posture) / 60
        said = sum(seconds for (_, told), seconds in sums.items() if told == posture) / 60
        rows.append(f"| {posture} | {was:.0f} | {said:.0f} | {(said - was) / was:+.1%} |")
    unknown = sum(s for (_, told), s in sums.items() if told == "unknown") / sum(sums.values())
    off = [abs(there - counted) for there, counted in (one.bouts for one in outcomes)]
    close = sum(one <= 1 for one in off) / len(off)
    return [
        *rows,
        "",
        f"Unknown in {unknown:.1%} of the time. Bouts of lying within one of the truth in {close:.0%} of them.",
    ]


def _behaviours(outcomes: list[Outcome]) -> list[str]:
    right, missed, false = (total(getattr(one, name) for one in outcomes) for name in ("right", "missed", "false"))
    rows = ["| behaviour | bouts | recall | precision |", "|---|---|---|---|"]
    for name in COUNTED:
        there, said = right[name] + missed[name], right[name] + false[name]
        recall, precision = right[name] / max(there, 1), right[name] / max(said, 1)
        rows.append(f"| {name} | {there} | {recall:.2f} | {precision:.2f} |")
    return rows


def _alerts(outcomes: list[Outcome]) -> list[str]:
    severity = rules()
    calm = [one for one in outcomes if one.trouble is None]
    if not calm:
        return []
    false = sum(severity[kind] == "critical" for one in calm for kind, _ in one.found)
    warned = sum(severity[kind] == "warning" for one in calm for kind, _ in one.found)
    rows = ["| trouble | days | found | minutes from its first signs, median |", "|---|---|---|---|"]
    for trouble, kinds in EXPECTED.items():
        days = [one for one in outcomes if one.trouble == trouble]
        delays = sorted(delay for one in days if (delay := _delay(one, kinds)) is not None)
        middle = f"{delays[len(delays) // 2]:.0f}" if delays else "-"
        rows.append(f"| {trouble} | {len(days)} | {len(delays)} | {middle} |")
    return [
        *rows,
        "",
        f"False on {len(calm)} calm days: {false} critical ({false / len(calm) * MONTH_DAYS:.2f} per stall and month), "
        f"{warned} warnings ({warned / len(calm) * MONTH_DAYS:.2f}).",
        "",
        "![Postures](postures.webp)",
    ]


def _delay(outcome: Outcome, kinds: tuple[str, ...]) -> float | None:
    """Minutes from the first signs to the first alert that names it."""
    if outcome.began_min is None:
        return None
    after = [minute - outcome.began_min for kind, minute in outcome.found if kind in kinds]
    return min((delay for delay in after if delay > -5), default=None)


def total(counters: Iterable[Counter[Any]]) -> Counter[Any]:
    return sum(counters, Counter())


def _plain(outcome: Outcome) -> dict[str, Any]:
    table = {one.name: getattr(outcome, one.name) for one in fields(outcome)}
    return {**table, "postures": {"/".join(pair): seconds for pair, seconds in outcome.postures.items()}}


if __name__ == "__main__":
    main()
