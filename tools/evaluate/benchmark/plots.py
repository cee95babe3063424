"""Bars of accuracy, and accuracy over parameters and over latency. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tools.evaluate.benchmark.report import Result, Section
from tools.evaluate.benchmark.score import lower_is_better

COLOUR, STATED = "#2b6cb0", "#b7791f"
AXES = {"parameters": ("parameters_m", "parameters, millions"), "latency": ("ms_p50", "ms per subject, median")}


def draw(out: Path, sections: Sequence[Section]) -> list[str]:
    """The names of the pictures written below `out`; none without anything to show or without matplotlib."""
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError:
        return []
    out.mkdir(parents=True, exist_ok=True)
    shown = [section for section in sections if _points(section, "ms_p50")]
    names = [_bars(Figure, out, shown)] if shown else []
    for name, (measure, label) in AXES.items():
        kept = [s for s in sections if _points(s, measure) or (measure == "parameters_m" and _stated(s))]
        names += [_scatter(Figure, out / f"{name}.png", kept, measure, label)] if kept else []
    return names


def _bars(figure_of: Any, out: Path, sections: Sequence[Section]) -> str:
    figure = figure_of(figsize=(8, sum(0.9 + 0.32 * len(_points(s, "ms_p50")) for s in sections)), layout="constrained")
    heights = [1.5 + len(_points(section, "ms_p50")) for section in sections]
    panels = figure.subplots(len(sections), 1, squeeze=False, height_ratios=heights)[:, 0]
    for panel, section in zip(panels, sections, strict=True):
        rows = _points(section, "ms_p50")
        values = [result.figures[section.headline] for result in rows]
        bars = panel.barh([result.model for result in rows], values, color=COLOUR)
        panel.bar_label(bars, fmt="%.1f" if lower_is_better(section.headline) else "%.3f", padding=3, fontsize=8)
        panel.set_title(f"{section.data}: {_direction(section.headline)}", fontsize=9, loc="left")
        panel.margins(x=0.12)
        _plain(panel)
    return _saved(figure, out / "accuracy.png")


def _scatter(figure_of: Any, path: Path, sections: Sequence[Section], measure: str, label: str) -> str:
    columns = min(3, len(sections))
    rows = -(-len(sections) // columns)
    figure = figure_of(figsize=(4.2 * columns, 3.2 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel, section in zip(panels, sections, strict=False):
        _cloud(panel, section, measure)
        panel.set_xlabel(label, fontsize=8)
    for empty in panels[len(sections) :]:
        empty.set_visible(False)
    return _saved(figure, path)


def _cloud(panel: Any, section: Section, measure: str) -> None:
    """Filled: measured in this run. Hollow: what others state for the model."""
    for result in _points(section, measure):
        at = (getattr(result, measure), result.figures[section.headline])
        panel.scatter(*at, color=COLOUR)
        _named(panel, result.model, at)
    for result, value in _stated(section) if measure == "parameters_m" else []:
        at = (result.parameters_m, value)
        panel.scatter(*at, facecolors="none", edgecolors=STATED)
        _named(panel, result.model, at)
    stated = " (hollow: stated, not run)" if measure == "parameters_m" and _stated(section) else ""
    panel.set_title(f"{section.data}{stated}", fontsize=9, loc="left")
    panel.set_ylabel(_direction(section.headline), fontsize=8)
    panel.margins(0.25)
    _plain(panel)


def _named(panel: Any, name: str, at: Any) -> None:
    panel.annotate(name, at, xytext=(4, 4), textcoords="offset points", fontsize=6)


def _points(section: Section, measure: str) -> list[Result]:
    """Scored, with both figures."""
    scored = [r for r in section.results if r.status == "scored" and section.headline in r.figures]
    return [result for result in scored if getattr(result, measure) is not None]


def _stated(section: Section) -> list[tuple[Result, float]]:
    return [
        (result, claim["value"])
        for result in section.results
        for claim in result.claims
        if result.status != "scored" and result.parameters_m is not None and claim["figure"] == section.headline
    ]


def _direction(figure: str) -> str:
    return f"{figure}, {'lower' if lower_is_better(figure) else 'higher'} is better"


def _plain(panel: Any) -> None:
    panel.spines[["top", "right"]].set_visible(False)
    panel.tick_params(labelsize=8)


def _saved(figure: Any, path: Path) -> str:
    figure.savefig(path, dpi=110)
    return path.name
