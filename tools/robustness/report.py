"""The report: tables in Markdown, and a grid of annotated pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edged.config.tables.camera import QualityConfig
from edged.drawing.annotate import annotate
from edged.frame import U8, FrameResult
from tools.reports.writer import number, share, table
from tools.robustness import limits

WIDTH_PX, COLUMNS, QUALITY = 320, 4, 55
SOURCES = {
    "rendered": "A rendered stall (`tools/demo/stall.mp4`), judged by its exact truth.",
    "real": "Real pictures (a video, and photographs with a swaying camera), judged by the results on the undisturbed "
    "pictures: consistency, not accuracy. A phantom was not confident there either. The pictures are not ours to show; "
    "a run writes `real.webp` to the folder of its report.",
}
CANDIDATES: dict[
    str, tuple[tuple[str, ...], tuple[float, ...], bool]
] = {  # quality limits: ladders, values, from below
    "min_brightness": (("darkness",), (4, 6, 8, 10, 12, 16), True),
    "max_brightness": (("glare",), (230, 240, 247, 250, 252, 254), False),
    "min_sharpness": (("motion", "defocus"), (0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2), True),
}
LIMITS = """Still pictures (frames of the clip; annotated people and horses) made worse step by step, without quality
limits. A keypoint is published when its score counts. It is right within a tenth of the longer side, and wrong where
there is no subject. What is still published is mostly right: the detector stops detecting first. So a limit does not
prevent wrong keypoints; it reports a degraded image where the frame would report no subject. The defaults go as far as
each step withholds about two missed subjects or more for one that is detected. None of the conditions above is that
bad.

"""
HEADER = """# Robustness

Remade by `python -m tools.robustness` (an interrupted run continues). A subject is *detected* when a box of its
class has an IoU of 0.3 with it. PCK is at 0.1 of the box's longer side; keypoints of subjects not detected are wrong.
*Gated*: frames withheld as dark, bright, flat or blurred. *Phantoms*: subjects published near no true one. *Lost*:
frames of a subject between two in which it was detected, with none of its class near it. Errors are medians, in
hundredths of the longer side.
"""


def markdown(figures: Mapping[str, Mapping[str, Any]]) -> str:
    sections = {name: rows for name, rows in figures.items() if name in SOURCES}
    body = "".join(f"\n## {name.capitalize()}\n\n{_section(name, rows)}" for name, rows in sections.items())
    return HEADER + body + "\n## Quality limits\n\n" + _limits(figures["limits"])


def limits_of(climbs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The rungs, and what each candidate limit would withhold over all rungs of its ladders."""
    tried = []
    for key, (ladders, candidates, below) in CANDIDATES.items():
        stills = [one for ladder in ladders for one in climbs[ladder]["stills"]]
        for limit in candidates:
            tried.append({"limit": key, "value": limit, **limits.withheld(stills, limit, below=below)})
    rungs = {ladder: {"measure": climb["measure"], "rungs": climb["rungs"]} for ladder, climb in climbs.items()}
    return {"ladders": rungs, "tried": tried}


def _limits(figures: Mapping[str, Any]) -> str:
    rows = [
        (ladder, rung, f"{climb['measure']} {number(row['measure'], 3)}", share(row["found"]), row["published"],
         share(row["right"]))
        for ladder, climb in figures["ladders"].items()
        for rung, row in climb["rungs"].items()
    ]  # fmt: skip
    defaults = QualityConfig()
    tried = [
        (row["limit"], f"{row['value']:g}{' (default)' if getattr(defaults, row['limit']) == row['value'] else ''}",
         row["missed"], row["found"], row["wrong"], row["right"])
        for row in figures["tried"]
    ]  # fmt: skip
    return (
        LIMITS
        + _lines(("", "", "median", "found", "keypoints published", "of these right"), rows)
        + "\nWhat a limit would withhold over these rungs:\n\n"
        + _lines(("limit", "value", "subjects missed", "found", "keypoints wrong", "right"), tried)
    )


def grid(path: Path, pictures: Iterable[tuple[str, U8, FrameResult]]) -> None:
    """The conditions side by side, named."""
    tiles = [_tile(*picture) for picture in pictures]
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % COLUMNS)
    rows = [np.hstack(tiles[at : at + COLUMNS]) for at in range(0, len(tiles), COLUMNS)]
    cv2.imwrite(str(path), np.vstack(rows), [cv2.IMWRITE_WEBP_QUALITY, QUALITY])


def _section(name: str, rows: Mapping[str, Any]) -> str:
    head = (
        "condition", "detected", "PCK@0.1", "error", "mean score", "phantoms", "gated", "lost", "of these gated"
    )  # fmt: skip
    measured = [
        (condition, share(row["detection"]), share(row["pck"]), number(row["error"], 1, 100),
         number(row["confidence"]), row["phantoms"], share(row["gated"]), row["lost"], row["lost_gated"])
        for condition, row in rows.items()
    ]  # fmt: skip
    picture = "\n\n![the conditions](rendered.webp)\n\n" if name == "rendered" else "\n\n"
    return SOURCES[name] + picture + _lines(head, measured)


def _lines(head: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    return "\n".join(table(head, rows)) + "\n"


def _tile(name: str, image: U8, result: FrameResult) -> U8:
    height = round(WIDTH_PX * image.shape[0] / image.shape[1])
    small = cv2.resize(annotate(image, result), (WIDTH_PX, height), interpolation=cv2.INTER_AREA)
    cv2.rectangle(small, (0, height - 22), (WIDTH_PX, height), (0, 0, 0), cv2.FILLED)
    cv2.putText(small, name, (6, height - 7), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255), 1, cv2.LINE_AA)
    return np.asarray(small, np.uint8)
