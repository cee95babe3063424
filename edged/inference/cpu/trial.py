"""A trial of what can run the models on the CPU: `python -m edged.inference.cpu.trial`, in a process of its own.

There a library that crashes does no harm, and what is not chosen takes no memory of the daemon. The request comes on
stdin as JSON, the results go to stdout.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from statistics import median

from pydantic import BaseModel

from edged.errors import EdgedError
from edged.inference.cpu.runtimes import REFERENCE, Candidate, CpuSession, ModelFiles, open_session
from edged.inference.decode import ALL_DECODERS
from edged.units import NS_PER_MS, NS_PER_S
from engines.card import Card
from engines.errors import EngineError
from engines.golden import golden_inputs
from engines.verify.selftest import selftest

TRIAL_S = 1.0  # of each candidate
MIN_ROUNDS, MAX_ROUNDS = 3, 50  # of all models, each once
MIN_GAIN = 0.1  # share of the reference's time that another candidate must save; by hand: less is noise of a trial


class Trial(BaseModel):
    """What is to be tried."""

    models: list[tuple[Card, ModelFiles]]
    candidates: list[Candidate]
    threads: int


class CandidateTime(BaseModel):
    """Of one candidate: how long all models take, each run once, or why it is not to be used."""

    candidate: Candidate
    ms: float | None = None
    fault: str = ""

    def __str__(self) -> str:
        return f"{self.candidate} {f'{self.ms:.1f} ms' if self.ms is not None else f'not used ({self.fault})'}"


class TrialResults(BaseModel):
    results: list[CandidateTime]

    @property
    def best(self) -> Candidate:
        """The fastest, or the first one where no other is faster by MIN_GAIN."""
        timed = {one.candidate: one.ms for one in self.results if one.ms is not None}
        first = self.results[0].candidate
        if not timed:
            return first
        fastest = min(timed, key=lambda candidate: timed[candidate])
        usual = timed.get(first)
        return first if usual is not None and timed[fastest] > (1 - MIN_GAIN) * usual else fastest

    def __str__(self) -> str:
        return ", ".join(map(str, self.results))


def run(trial: Trial) -> TrialResults:
    """The candidates in turn, so that other load slows all of them alike; the medians of their times."""
    opened: dict[Candidate, list[CpuSession]] = {}
    faults: dict[Candidate, str] = {}
    for candidate in trial.candidates:
        try:
            opened[candidate] = _opened(trial, candidate)
        except (EdgedError, EngineError) as refusal:
            faults[candidate] = str(refusal)
    times = _times(opened)
    found = [CandidateTime(candidate=one, ms=times.get(one), fault=faults.get(one, "")) for one in trial.candidates]
    return TrialResults(results=found)


def _opened(trial: Trial, candidate: Candidate) -> list[CpuSession]:
    """Every model, warm. Raises `EngineError` for one that is too far from its FP32 reference."""
    sessions = []
    for card, files in trial.models:
        session = open_session(candidate, card, files, trial.threads)
        session.warm_up(1)
        if candidate != REFERENCE:
            _check(session, candidate, files)
        sessions.append(session)
    return sessions


def _check(session: CpuSession, candidate: Candidate, files: ModelFiles) -> None:
    """Raises `EngineError` with what differs from ONNX Runtime in FP32 on the golden input."""
    card = session.card.in_precision(candidate.precision if candidate.precision in files else "fp32")
    with closing(open_session(REFERENCE, card, files, 0)) as reference:
        found = selftest(card, session, reference, ALL_DECODERS.get(card.family))
    if not found.passed:
        raise EngineError(f"{card.name}: {'; '.join(found.faults)}")


def _times(opened: Mapping[Candidate, Sequence[CpuSession]]) -> dict[Candidate, float]:
    """The median time of a round of each, ms."""
    inputs = {session.card.name: golden_inputs(session.card)[0] for sessions in opened.values() for session in sessions}
    times: dict[Candidate, list[int]] = {candidate: [] for candidate in opened}
    end_ns = time.monotonic_ns() + int(TRIAL_S * NS_PER_S * len(opened))
    for done in range(MAX_ROUNDS):
        if done >= MIN_ROUNDS and time.monotonic_ns() > end_ns:
            break
        for candidate, sessions in opened.items():
            begun_ns = time.perf_counter_ns()
            for session in sessions:
                session.run(inputs[session.card.name])
            times[candidate].append(time.perf_counter_ns() - begun_ns)
    return {candidate: median(found) / NS_PER_MS for candidate, found in times.items()}


def main() -> None:
    trial = Trial.model_validate_json(sys.stdin.read())
    with suppress(BrokenPipeError):  # nobody waits any more
        sys.stdout.write(run(trial).model_dump_json())


if __name__ == "__main__":
    main()
