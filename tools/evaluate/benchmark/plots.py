"""Bars of accuracy, and accuracy over parameters and over latency. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tools.evaluate.benchmark.report import Result, Section
from tools.evaluate.benchmark.score import lower_is_better

COLOUR, SHAPES = "#2b6cb0", "osD^vP*X"
AXES = {"parameters": ("parameters_m", "parameters, millions"), "latency": ("ms_p50", "ms per subject, median")}


class Point(NamedTuple):
    """One model on one dataset."""

    model: str
    data: str
    x: float
    y: float
    measured: bool = True


def draw(out: Path, sections: Sequence[Section]) -> list[str]:
    """Return the names of the plots written below `out`; none without scored results or without matplotlib."""
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError:
        return []
    out.mkdir(parents=True, exist_ok=True)
    shown = [section for section in sections if _points(section, "ms_p50")]
    names = [_bars(Figure, out, shown)] if shown else []
    for name, (measure, label) in AXES.items():
        points = {task: _points_of(sections, task, measure) for task in ("2d", "3d")}
        panels = {task: found for task, found in points.items() if found}
        names += [_scatter(Figure, out / f"{name}.png", panels, label)] if panels else []
    return names


def _bars(figure_of: Any, out: Path, sections: Sequence[Section]) -> str:
    figure = figure_of(figsize=(8, sum(0.6 + 0.3 * len(_points(s, "ms_p50")) for s in sections)), layout="constrained")
    heights = [1.5 + len(_points(section, "ms_p50")) for section in sections]
    panels = figure.subplots(len(sections), 1, squeeze=False, height_ratios=heights)[:, 0]
    for panel, section in zip(panels, sections, strict=True):
        rows = _points(section, "ms_p50")
        values = [result.figures[section.headline] for result in rows]
        bars = panel.barh([result.model for result in rows], values, color=COLOUR)
        panel.bar_label(bars, fmt="%.1f" if lower_is_better(section.headline) else "%.3f", padding=3, fontsize=8)
        panel.set_title(f"{section.data}: {_direction(section.headline)}", fontsize=9, loc="left")
        panel.set_xlim(0, 1.05 if not lower_is_better(section.headline) else 1.15 * max(values))
        _plain(panel)
    return _saved(figure, out / "accuracy.png")


def _scatter(figure_of: Any, path: Path, panels: dict[str, list[Point]], label: str) -> str:
    figure = figure_of(figsize=(8, 3.6 * len(panels)), layout="constrained")
    axes = figure.subplots(len(panels), 1, squeeze=False)[:, 0]
    for panel, (task, points) in zip(axes, panels.items(), strict=True):
        _cloud(panel, points)
        panel.set_xlabel(label, fontsize=8)
        panel.set_ylabel("MPJPE mm, lower is better" if task == "3d" else "PCK, higher is better", fontsize=8)
    return _saved(figure, path)


def _cloud(panel: Any, points: list[Point]) -> None:
    """Draw a colour per model and a marker per dataset; published figures are hollow."""
    data, models = (list(dict.fromkeys(getattr(p, part) for p in points)) for part in ("data", "model"))
    for point in points:
        colour = f"C{models.index(point.model)}"
        panel.scatter(
            point.x,
            point.y,
            marker=SHAPES[data.index(point.data) % len(SHAPES)],
            facecolors=colour if point.measured else "none",
            edgecolors=colour,
            label=f"{point.model}, {point.data}{'' if point.measured else ' (stated, not run)'}",
        )
    handles, labels = panel.get_legend_handles_labels()
    once = dict(zip(labels, handles, strict=True))
    panel.legend(once.values(), once.keys(), fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    panel.set_xlim(0, 1.1 * max(point.x for point in points))
    panel.set_ylim(0, 1.1 * max(point.y for point in points))
    _plain(panel)


def _points_of(sections: Sequence[Section], task: str, measure: str) -> list[Point]:
    """Return the points measured in this run and, over parameters, published ones."""
    found = []
    for section in (section for section in sections if section.task == task):
        for result in _points(section, measure):
            found.append(Point(result.model, section.data, getattr(result, measure), result.figures[section.headline]))
        for result, value in _stated(section) if measure == "parameters_m" else []:
            found.append(Point(result.model, section.data, result.parameters_m or 0.0, value, measured=False))
    return found


def _points(section: Section, measure: str) -> list[Result]:
    """Return the scored results that have both figures."""
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
