"""A confusion matrix as a picture: rows true, columns estimated, each row in shares."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

CELL, LEFT, TOP = 110, 130, 60  # px
INK, PAPER, DEEP = (40, 40, 40), (255, 255, 255), (122, 78, 24)  # BGR
FONT = cv2.FONT_HERSHEY_SIMPLEX


def confusion(
    path: Path, sums: Mapping[tuple[str, str], float], rows: tuple[str, ...], columns: tuple[str, ...]
) -> None:
    image = np.full((TOP + CELL * len(rows) + 20, LEFT + CELL * len(columns) + 20, 3), PAPER, np.uint8)
    for j, name in enumerate(columns):
        _text(image, name, (LEFT + CELL * j + CELL // 2, TOP - 20), INK)
    for i, row in enumerate(rows):
        _text(image, row, (LEFT // 2, TOP + CELL * i + CELL // 2), INK)
        whole = sum(sums.get((row, column), 0) for column in columns) or 1
        for j, column in enumerate(columns):
            share = sums.get((row, column), 0) / whole
            x, y = LEFT + CELL * j, TOP + CELL * i
            colour = tuple(round(p + (d - p) * share**0.5) for p, d in zip(PAPER, DEEP, strict=True))
            cv2.rectangle(image, (x + 2, y + 2), (x + CELL - 3, y + CELL - 3), colour, -1)
            _text(image, f"{share:.1%}", (x + CELL // 2, y + CELL // 2), PAPER if share > 0.3 else INK)
    cv2.imwrite(str(path), image, [cv2.IMWRITE_WEBP_QUALITY, 90])


def _text(image: np.ndarray, text: str, middle: tuple[int, int], colour: tuple[int, int, int]) -> None:
    (width, height), _ = cv2.getTextSize(text, FONT, 0.5, 1)
    at = middle[0] - width // 2, middle[1] + height // 2
    cv2.putText(image, text, at, FONT, 0.5, colour, 1, cv2.LINE_AA)
