"""The report of `tools.evaluate.photographs`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tools.reports.writer import environment, environment_line, number, share, table

HEAD = (
    "", "found", "precision", "AP", "joints right", "joints in true boxes", "OKS-AP in true boxes", "nothing published",
    "pictures with such a box",
)  # fmt: skip


def lines(domain: str, name: str, figures: Mapping[str, Any]) -> list[str]:
    """Return the figures of one contender in one domain, one line per class."""
    return [f"{domain:24} {name:10} " + "  ".join(cells) for cells in _cells(figures)]


def page(figures: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield the lines of the page."""
    yield "# People and horses in ordinary photographs"
    yield ""
    yield (
        "Boxes from 48 px of height on, IoU 0.5, default thresholds; a joint is right within 0.1 of the longer side of "
        "its subject's box, and wrong where the subject was not found. "
        "`python -m tools.evaluate.photographs DATA --out DIR`."
    )
    for domain, contenders in figures.items():
        yield ""
        yield f"## {domain.capitalize()}"
        yield ""
        rows = [[f"{name}, {cells[0]}", *cells[1:]] for name, one in contenders.items() for cells in _cells(one)]
        yield from table(HEAD, rows)
    yield ""
    yield environment_line(environment())


def _cells(figures: Mapping[str, Any]) -> Iterator[list[str]]:
    for label in ("person", "horse"):
        if label in figures:
            row = figures[label]
            yield [
                f"{label} ({row['subjects']})",
                number(row["recall"]),
                number(row["precision"]),
                number(row["AP"].get("all")),
                number(row["joints"]),
                number(row["joints, true boxes"]),
                number(row["OKS-AP, true boxes"]),
                share(figures["silent"]),
                share(row["boxed"]),
            ]
