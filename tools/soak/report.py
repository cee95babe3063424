"""The report of a soak test: figures as JSON, a plot, and a page in Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from tools.reports import writer
from tools.reports.writer import environment_line, table
from tools.soak.figures import WARM_UP

PANELS = (("rss_mb", "resident memory, MB"), ("files", "descriptors"), ("threads", "threads"))


def write(folder: Path, found: Mapping[str, Any]) -> None:
    writer.write(folder, page(found), found, name="soak")
    draw(folder / "soak.png", found["samples"])


def page(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of the report."""
    verdict = "Nothing grew." if found["good"] else f"Faults: {'; '.join(found['faults'])}."
    rows = [
        ("resident memory, slope", f"{found['rss_mb_per_h']} ± {found['rss_mb_per_h_error']} MB/h", "below 1 MB/h"),
        ("… of the second half", f"{found['rss_mb_per_h_later']} ± {found['rss_mb_per_h_later_error']} MB/h", ""),
        ("resident memory", "{first} → {last} MB".format(**found["rss_mb"]), ""),
        *((what, "{first} → {last} ({least} to {most})".format(**found[what]), "no more") for what in PANEL_NAMES),
        ("health messages whose frame counts do not balance", f"{found['unbalanced']} of {found['healths']}", "0"),
        *((f"camera {name}", _frame_counts(frames), "balanced") for name, frames in found["frame_counts"].items()),
        ("processor", f"{found['cores']} cores", ""),
        ("SIGTERM to exit", f"{found['stop_s']} s", "2 s"),
    ]
    yield "# Soak\n"
    yield (
        f"`python -m tools.soak`: {found['minutes']} minutes, two cameras at {found['fps']} Hz on the CPU backend, one "
        f"over RTSP and one a video in a loop, with a broker. The first {WARM_UP:.0%} are warm-up and not "
        f"evaluated. {verdict}\n"
    )
    yield from table(("", "measured", "wanted"), rows, align="left")
    yield "\n![memory, descriptors, threads](soak.png)\n"
    yield environment_line(found["environment"])


PANEL_NAMES = tuple(name for name, _ in PANELS[1:])


def draw(path: Path, samples: list[Mapping[str, float]]) -> None:
    figure = Figure(figsize=(8, 6), layout="constrained")
    minutes = [sample["at_s"] / 60 for sample in samples]
    axes = figure.subplots(len(PANELS), 1, sharex=True, height_ratios=(3, 1, 1))
    for panel, (name, label) in zip(axes, PANELS, strict=True):
        panel.plot(minutes, [sample[name] for sample in samples], color="#2b6cb0", linewidth=1)
        panel.axvspan(0, WARM_UP * minutes[-1], color="#eeeeee")
        panel.set_ylabel(label, fontsize=8)
        panel.tick_params(labelsize=8)
        panel.spines[["top", "right"]].set_visible(False)
    axes[-1].set_xlabel("minutes", fontsize=8)
    figure.savefig(path, dpi=110)


def _frame_counts(frames: Mapping[str, int]) -> str:
    return (
        "{captured} captured = {processed} processed + {dropped} dropped + {failed} failed + {waiting} waiting".format(
            **frames
        )
    )
