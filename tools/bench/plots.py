"""The benchmark's pictures: time by stage, and growth. Needs matplotlib and OpenCV."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

QUALITY, DPI = 80, 120
COLOURS = ("#2b6cb0", "#90cdf4", "#dd6b20", "#f6ad55", "#38a169", "#9ae6b4", "#a0aec0", "#d53f8c")
NAMED = 0.06  # minimum share of a bar for the name of a stage in it


def stages(path: Path, bars: Mapping[str, Mapping[str, float]]) -> None:
    """Draw a stacked bar of median stage times, ms, per backend and number of subjects."""
    figure = Figure(figsize=(9, 1.2 + 0.8 * len(bars)), layout="constrained")
    panel = figure.subplots()
    names = list(dict.fromkeys(name for bar in bars.values() for name in bar))
    colours = dict(zip(names, COLOURS * len(names), strict=False))
    for row, bar in enumerate(bars.values()):
        left, whole = 0.0, sum(bar.values())
        for name, cost in bar.items():
            drawn = panel.barh(row, cost, left=left, color=colours[name], label=name, edgecolor="white")
            left += cost
            if cost >= NAMED * whole:
                panel.bar_label(drawn, [f"{name}\n{cost:.2f}"], label_type="center", fontsize=7)
        panel.text(left, row, f" {whole:.1f} ms", va="center", fontsize=8)
    panel.set_yticks(range(len(bars)), list(bars), fontsize=8)
    panel.invert_yaxis()
    panel.set_xlabel("ms, median of each stage", fontsize=8)
    panel.margins(x=0.1)
    handles = {label: handle for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)}
    panel.legend(
        handles.values(), handles, fontsize=7, ncols=len(handles), loc="upper center", bbox_to_anchor=(0.5, 1.25)
    )
    _saved(figure, path)


def growth(path: Path, figures: Mapping[str, Any]) -> None:
    """Draw cost over subjects, image size and cameras, each with its fitted line."""
    cores = {count: row["cores"] for count, row in figures["cameras"]["cameras"].items()}
    panels = (
        ("subjects in the frame", "ms", figures["subjects"]["ms"], figures["subjects"]),
        ("megapixels", "ms", figures["sizes"]["ms"], figures["sizes"]),
        (f"cameras at {figures['cameras']['rate_hz']:g} Hz", "cores in use", cores, figures["cameras"]["cores"]),
    )
    figure = Figure(figsize=(11, 3.2), layout="constrained")
    for panel, (what, unit, costs, fit) in zip(figure.subplots(1, len(panels)), panels, strict=True):
        x = np.array([float(key) for key in costs])
        panel.plot(x, list(costs.values()), "o", color=COLOURS[0])
        ends = np.array([0, x.max()])
        panel.plot(ends, fit["at_0"] + fit["slope"] * ends, color=COLOURS[2])
        panel.set_title(f"{fit['slope']:.3g} {unit} each, R² {fit['r2']:.3f}", fontsize=9)
        panel.set_xlabel(what, fontsize=8)
        panel.set_ylabel(unit, fontsize=8)
        panel.set_ylim(0, 1.1 * max(costs.values()))
    _saved(figure, path)


def _saved(figure: Figure, path: Path) -> None:
    figure.set_dpi(DPI)
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    picture = cv2.cvtColor(np.asarray(canvas.buffer_rgba()), cv2.COLOR_RGBA2BGR)
    cv2.imwrite(str(path), picture, [cv2.IMWRITE_WEBP_QUALITY, QUALITY])
