"""Runs every model on every dataset: prepare, find the weights, infer, score, report."""

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
from tools.evaluate.benchmark.answers import Predictions, predict
from tools.evaluate.benchmark.claims import claims, compare, disagreements
from tools.evaluate.benchmark.estimators import parameters_m
from tools.evaluate.benchmark.models import Model
from tools.evaluate.benchmark.prepared import DatasetInfo, PreparedDataset
from tools.evaluate.benchmark.report import Result, Section
from tools.evaluate.benchmark.score import comparable, headline, score
from tools.reports.writer import environment

log = logging.getLogger(__name__)
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The models and datasets to compare, and the directory of the results."""

    models: list[Model]
    data: dict[str, Path]
    out: Path


def run(job: Run, progress: Progress) -> Path:
    """Run the benchmark; returns the path of the Markdown report."""
    sections = [_section(job, name, directory, progress) for name, directory in job.data.items()]
    report.write(job.out, sections, environment(), plots.draw(job.out, sections))
    return job.out / "report.md"


def _section(job: Run, name: str, directory: Path, progress: Progress) -> Section:
    try:
        data = _prepared(job.out, name, directory)
    except FileNotFoundError as missing:
        log.warning("%s", missing)
        return _without_data(job, name)
    fitting = [model for model in job.models if comparable(model, data.info)]
    results = [_result(job.out, model, data, progress) for model in fitting]
    return Section(data=name, task=data.info.task, headline=headline(data.info), note=data.info.note, results=results)


def _without_data(job: Run, name: str) -> Section:
    """Return the published figures of models on a dataset that is missing."""
    claimed = [model for model in job.models if claims(model.name, name)]
    results = [
        replace(_stated(model, name), status="no data here" if model.has_weights else "no weights here")
        for model in claimed
    ]
    return Section(
        data=name,
        task=DATASETS[name].task,
        headline="MPJPE mm",
        note=f"no data here; it needs {DATASETS[name].files}",
        results=results,
    )


def _prepared(out: Path, name: str, directory: Path) -> PreparedDataset:
    """Return the dataset, prepared once per directory."""
    where = hashlib.sha256(str(directory.resolve()).encode()).hexdigest()[:8]
    path = out / "prepared" / f"{name}-{where}.npz"
    if not path.is_file():
        DATASETS[name].prepare(directory).save(path)
    return PreparedDataset.read(path)


def _result(out: Path, model: Model, data: PreparedDataset, progress: Progress) -> Result:
    info, stated = data.info, _stated(model, data.info.name)
    if not model.has_weights:
        return stated
    path = out / "answers" / info.name / f"{model.name}.jsonl"
    predictions = predict(model, data, path, partial(progress, f"{model.name} on {info.name}"))
    scored = score(model, data, predictions)
    comparable_claims = claims(model.name, info.name) if _comparable_to_claims(info, scored.joints) else []
    return replace(
        stated,
        status="scored",
        subjects=scored.subjects,
        joints=scored.joints,
        joints_of=len(info.joints),
        parameters_m=parameters_m(model.weights),
        ms_p50=_percentile(predictions, 50),
        ms_p95=_percentile(predictions, 95),
        figures=scored.figures,
        verdict=compare(comparable_claims, scored.figures),
    )


def _stated(model: Model, data: str) -> Result:
    """Return the result of a model that is not run: its published figures."""
    of = claims(model.name, data)
    return Result(
        model=model.name,
        data=data,
        status="no weights here",
        get=model.how_to_get,
        parameters_m=model.published_m,
        claims=[claim._asdict() for claim in of],
        disagreements=disagreements(of),
    )


def _comparable_to_claims(info: DatasetInfo, joints: int) -> bool:
    """Return whether figures can be compared with published ones: complete dataset, all joints."""
    return info.complete and joints in {len(info.joints), 1}


def _percentile(predictions: Predictions, share: float) -> float | None:
    known = predictions.ms[np.isfinite(predictions.ms)]
    return float(np.percentile(known, share)) if len(known) else None
