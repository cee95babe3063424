"""The report of the benchmark, as JSON and as Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from tools.evaluate.benchmark.score import lower_is_better
from tools.reports import writer
from tools.reports.writer import table

Status = Literal["scored", "no weights here", "no data here"]
COLUMNS = {
    "2d": ("AP", "AP50", "AP75", "AR", "AUC@30px", "EPE px"),
    "3d": (
        "PA-MPJPE rigid mm",
        "PA-MPJPE similarity mm",
        "N-MPJPE mm",
        "3DPCK@150",
        "3D AUC",
        "MPJAE deg",
        "MRPE mm",
        "depth error %",
        "depth error p68 %",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One model on one dataset; it may not have been run."""

    model: str
    data: str
    status: Status
    get: str = ""  # how to obtain what is missing
    subjects: int = 0
    joints: int = 0
    joints_of: int = 0  # that the data has
    parameters_m: float | None = None
    ms_p50: float | None = None
    ms_p95: float | None = None
    figures: dict[str, float] = field(default_factory=dict)
    claims: list[dict[str, Any]] = field(default_factory=list)
    verdict: list[str] = field(default_factory=list)
    disagreements: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One dataset and all models on it."""

    data: str
    task: Literal["2d", "3d"]
    headline: str
    note: str
    results: list[Result]


def write(out: Path, sections: list[Section], environment: dict[str, str], plots: list[str]) -> None:
    """Write `report.json` and `report.md` below `out`."""
    document = {"v": 1, "environment": environment, "sections": [asdict(section) for section in sections]}
    writer.write(out, _markdown(sections, environment, plots), document, name="report", page_name="report.md")


def _markdown(sections: list[Section], environment: dict[str, str], plots: list[str]) -> Iterator[str]:
    yield "# Benchmark\n"
    yield "Shares are from 0 to 1; ms are crop, inference and decoding of one subject. Joints are those that model and"
    yield "data have in common, of those the data has: figures over fewer joints are not those of the whole set.\n"
    yield from (f"![{plot}]({plot})" for plot in plots)
    for section in sections:
        yield from _section(section)
    yield from _listed(
        "Where sources disagree", sorted({d for s in sections for r in s.results for d in r.disagreements})
    )
    yield from _listed("Not run", list(_missing(sections)))
    yield "\n## Environment\n"
    yield from (f"- {name}: {value}" for name, value in environment.items() if value)


def _section(section: Section) -> Iterator[str]:
    scored = [result for result in section.results if result.status == "scored"]
    yield f"\n## {section.data}\n"
    if section.note:
        yield f"{section.note[0].upper()}{section.note[1:]}.\n"
    if not scored:
        yield "Nothing was run; see below."
        return
    named = (section.headline, *COLUMNS[section.task])
    columns = [name for name in named if any(name in result.figures for result in scored)]
    head = ("model", "params M", "subjects", "joints", *columns, "ms p50", "ms p95")
    yield from table(head, (_cells(result, columns) for result in _ranked(scored, section.headline)), align="left")
    yield from _listed("", [f"{result.model}: {line}" for result in scored for line in result.verdict])


def _ranked(results: list[Result], headline: str) -> list[Result]:
    sign = 1 if lower_is_better(headline) else -1
    return sorted(results, key=lambda result: sign * result.figures.get(headline, sign * math.inf))


def _cells(result: Result, columns: list[str]) -> list[str]:
    figures = [_cell(result.figures.get(name), 1 if lower_is_better(name) else 3) for name in columns]
    joints = f"{result.joints} of {result.joints_of}"
    cells = [result.model, _cell(result.parameters_m, 2), str(result.subjects), joints, *figures]
    return [*cells, _cell(result.ms_p50, 1), _cell(result.ms_p95, 1)]


def _cell(value: float | None, digits: int) -> str:
    return "" if value is None else "–" if math.isnan(value) else f"{value:.{digits}f}"


def _missing(sections: list[Section]) -> Iterator[str]:
    """Yield a line per model without weights: how to get them, and its published figures."""
    absent: dict[str, list[Result]] = {}
    for result in (result for section in sections for result in section.results):
        if result.status == "no weights here":
            absent.setdefault(result.model, []).append(result)
    for model, results in sorted(absent.items()):
        stated = "; ".join(line for result in results for line in _stated(result))
        yield f"{model}: no weights here; {results[0].get}{'. Stated: ' if stated else ''}{stated}"


def _stated(result: Result) -> Iterator[str]:
    for claim in result.claims:
        yield f"{claim['figure']} {claim['value']:g} on {result.data} ({claim['source']})"


def _listed(title: str, lines: list[str]) -> Iterator[str]:
    if lines:
        yield f"\n## {title}\n" if title else ""
        yield from (f"- {line}" for line in lines)
