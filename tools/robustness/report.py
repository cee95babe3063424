"""The report: tables in Markdown, and a grid of pictures with what was seen in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edged.adapters.draw import annotate
from edged.frame import U8, Result

WIDTH_PX, COLUMNS, QUALITY = 320, 4, 55
SOURCES = {
    "rendered": "A rendered stall (`tools/demo/stall.mp4`), judged by its exact truth.",
    "real": "Real pictures (a video, and photographs before which the camera sways), judged by what is seen of them "
    "undisturbed: consistency, not accuracy.",
}
HEADER = """# Robustness

Remade by `python -m tools.robustness --frames 120 --real-frames 12`. A subject is *detected* when a box of its class
has an IoU of 0.5 with it.
PCK is at 0.1 of the box's longer side; keypoints of subjects not detected are wrong. *Gated*: frames withheld as dark,
bright, flat or blurred. *Lost*: frames of a subject between two in which it was detected; *recovered*: those with it
bridged (posed where its track expects it, published with `"bridged": true`). *Astray*: bridged, but on nobody.
Errors are medians, in hundredths of the longer side. Speeds were measured on a busy machine:
ignore them but as an order of magnitude.

What this says of the defaults: the gate's limits are for pictures that show nothing, and none of these conditions meets
them; the bridge recovers less than half of what heavy blur and noise lose, and much of what it adds stands on nobody
(the detector's own false boxes, carried on), in good pictures too. So `track.bridge_s` is 0 unless set.
"""


def markdown(figures: Mapping[str, Mapping[str, Any]]) -> str:
    return HEADER + "".join(f"\n## {name.capitalize()}\n\n{_section(name, rows)}" for name, rows in figures.items())


def grid(path: Path, pictures: Iterable[tuple[str, U8, Result]]) -> None:
    """The conditions side by side, named."""
    tiles = [_tile(*picture) for picture in pictures]
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % COLUMNS)
    rows = [np.hstack(tiles[at : at + COLUMNS]) for at in range(0, len(tiles), COLUMNS)]
    cv2.imwrite(str(path), np.vstack(rows), [cv2.IMWRITE_WEBP_QUALITY, QUALITY])


def _section(name: str, rows: Mapping[str, Any]) -> str:
    seen = [
        (condition, _share(row["detection"]), _share(row["pck"]), _number(row["confidence"]), _share(row["gated"]),
         _number(row["frames_per_s"], 0))
        for condition, row in rows.items()
    ]  # fmt: skip
    bridged = [
        (condition, row["lost"], row["lost_gated"], _share(row["recovered"]), row["bridged"], row["astray"],
         _number(row["error"], 1, 100), _number(row["error_bridged"], 1, 100))
        for condition, row in rows.items()
    ]  # fmt: skip
    return (
        f"{SOURCES[name]}\n\n![the conditions]({name}.webp)\n\n"
        + _table(("condition", "detected", "PCK@0.1", "mean score", "gated", "frames/s"), seen)
        + "\nWhat `track.bridge_s = 0.5` gives back:\n\n"
        + _table(
            ("condition", "lost", "of these gated", "recovered", "bridged", "astray", "error, seen", "error, bridged"),
            bridged,
        )
    )


def _table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    head = tuple(head)
    lines = [head, ("---", *["---:"] * (len(head) - 1)), *rows]
    return "".join("| " + " | ".join(map(str, line)) + " |\n" for line in lines)


def _tile(name: str, image: U8, result: Result) -> U8:
    height = round(WIDTH_PX * image.shape[0] / image.shape[1])
    small = cv2.resize(annotate(image, result), (WIDTH_PX, height), interpolation=cv2.INTER_AREA)
    cv2.rectangle(small, (0, height - 22), (9 * len(name) + 8, height), (0, 0, 0), cv2.FILLED)
    cv2.putText(small, name, (6, height - 7), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255), 1, cv2.LINE_AA)
    return np.asarray(small, np.uint8)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.0f} %"


def _number(value: float | None, digits: int = 2, scale: float = 1) -> str:
    return "-" if value is None else f"{scale * value:.{digits}f}"
