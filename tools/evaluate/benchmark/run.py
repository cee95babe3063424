"""The five steps for every model on every dataset: prepare, get the weights, infer, score, report."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from tools.evaluate.benchmark import plots, report
from tools.evaluate.benchmark.adapters import DATASETS
from tools.evaluate.benchmark.answers import Said, asked
from tools.evaluate.benchmark.claims import claims, disagreements, verdict
from tools.evaluate.benchmark.estimators import parameters_m
from tools.evaluate.benchmark.models import Model
from tools.evaluate.benchmark.prepared import Facts, Prepared
from tools.evaluate.benchmark.report import Result, Section
from tools.evaluate.benchmark.score import comparable, headline, score
from tools.reports.writer import environment

log = logging.getLogger(__name__)
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What to compare, and where to keep it."""

    models: list[Model]
    data: dict[str, Path]
    out: Path


def run(job: Run, progress: Progress) -> Path:
    """Everything; returns the readable report."""
    sections = [_section(job, name, directory, progress) for name, directory in job.data.items()]
    report.write(job.out, sections, environment(), plots.draw(job.out, sections))
    return job.out / "report.md"


def _section(job: Run, name: str, directory: Path, progress: Progress) -> Section:
    try:
        data = _prepared(job.out, name, directory)
    except FileNotFoundError as missing:
        log.warning("%s", missing)
        return _without_data(job, name)
    fitting = [model for model in job.models if comparable(model, data.facts)]
    results = [_result(job.out, model, data, progress) for model in fitting]
    return Section(
        data=name, task=data.facts.task, headline=headline(data.facts), note=data.facts.note, results=results
    )


def _without_data(job: Run, name: str) -> Section:
    """What is stated of the models that somebody ran on it."""
    spoken_of = [model for model in job.models if claims(model.name, name)]
    results = [
        replace(_stated(model, name), status="no data here" if model.here else "no weights here") for model in spoken_of
    ]
    return Section(
        data=name,
        task=DATASETS[name].task,
        headline="MPJPE mm",
        note=f"no data here; it needs {DATASETS[name].files}",
        results=results,
    )


def _prepared(out: Path, name: str, directory: Path) -> Prepared:
    """Read once; a directory of another place is another dataset."""
    where = hashlib.sha256(str(directory.resolve()).encode()).hexdigest()[:8]
    path = out / "prepared" / f"{name}-{where}.npz"
    if not path.is_file():
        DATASETS[name].prepare(directory).save(path)
    return Prepared.read(path)


def _result(out: Path, model: Model, data: Prepared, progress: Progress) -> Result:
    facts, stated = data.facts, _stated(model, data.facts.name)
    if not model.here:
        return stated
    path = out / "answers" / facts.name / f"{model.name}.jsonl"
    said = asked(model, data, path, partial(progress, f"{model.name} on {facts.name}"))
    scored = score(model, data, said)
    held = claims(model.name, facts.name) if _like_the_claims(facts, scored.joints) else []
    return replace(
        stated,
        status="scored",
        subjects=scored.subjects,
        joints=scored.joints,
        joints_of=len(facts.joints),
        parameters_m=parameters_m(model.weights),
        ms_p50=_percentile(said, 50),
        ms_p95=_percentile(said, 95),
        figures=scored.figures,
        verdict=verdict(held, scored.figures),
    )


def _stated(model: Model, data: str) -> Result:
    """What is known without running it."""
    of = claims(model.name, data)
    return Result(
        model=model.name,
        data=data,
        status="no weights here",
        get=model.get,
        parameters_m=model.published_m,
        claims=[claim._asdict() for claim in of],
        disagreements=disagreements(of),
    )


def _like_the_claims(facts: Facts, joints: int) -> bool:
    """A sample, or fewer joints, is not what others speak of."""
    return facts.whole and joints in {len(facts.joints), 1}


def _percentile(said: Said, share: float) -> float | None:
    known = said.ms[np.isfinite(said.ms)]
    return float(np.percentile(known, share)) if len(known) else None
