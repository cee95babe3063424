"""Text in images: the labels of subjects, none of which covers another, and strips along an edge."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, cast

import cv2
import numpy as np

from edged.frame import U8, X0, X1, Y0, Y1, TrackedSubject
from edged.units import certainty

Colour = tuple[int, int, int]  # BGR

INK: Colour = (24, 24, 24)
PAPER: Colour = (235, 235, 235)
IDS: tuple[Colour, ...] = (
    *((120, 220, 120), (235, 190, 90), (130, 160, 255), (90, 215, 235)),
    *((225, 140, 215), (200, 215, 110), (150, 190, 200), (210, 165, 165)),
)
FONT = cv2.FONT_HERSHEY_SIMPLEX
SCALE_360P = 0.42  # font scale on an image whose shorter side is 360 px


class Lettering(NamedTuple):
    """A line of text as it will be drawn."""

    text: str
    scale: float
    stroke_px: int
    size_wh: tuple[int, int]  # of the text, px
    pad_px: int

    @property
    def plate_wh(self) -> tuple[int, int]:
        """Width and height of the text with its margin, px."""
        return self.size_wh[0] + 2 * self.pad_px, self.size_wh[1] + 2 * self.pad_px


class Plate(NamedTuple):
    x0: int
    y0: int
    x1: int
    y1: int

    def overlaps(self, other: Plate) -> bool:
        return self.x0 < other.x1 and other.x0 < self.x1 and self.y0 < other.y1 and other.y0 < self.y1


def id_colour(subject: TrackedSubject) -> Colour:
    return IDS[subject.id % len(IDS)]


def draw_labels(canvas: U8, subjects: Sequence[TrackedSubject]) -> None:
    """Write class, id and score beside each box, into the image (H, W, 3) BGR."""
    for subject, lettering, plate in place_labels(canvas, subjects):
        cv2.rectangle(canvas, (plate.x0, plate.y0), (plate.x1, plate.y1), id_colour(subject), cv2.FILLED)
        at = (plate.x0 + lettering.pad_px, plate.y1 - lettering.pad_px)
        cv2.putText(canvas, lettering.text, at, FONT, lettering.scale, INK, lettering.stroke_px, cv2.LINE_AA)


def place_labels(canvas: U8, subjects: Sequence[TrackedSubject]) -> Iterator[tuple[TrackedSubject, Lettering, Plate]]:
    """The labels for an image (H, W, 3), none on another: shorter in a crowd, and left out where nothing fits.

    Wide boxes come first: they are nearest, and have the most room.
    """
    taken: list[Plate] = []
    for subject in sorted(subjects, key=lambda one: float(one.xyxy[X0] - one.xyxy[X1])):
        for lettering, plate in _choices(canvas, subject):
            if not any(plate.overlaps(other) for other in taken):
                taken.append(plate)
                yield subject, lettering, plate
                break


def draw_strip(canvas: U8, text: str, colour: Colour, *, at_bottom: bool) -> None:
    """Write a line of text on a strip across the upper or lower edge of the image (H, W, 3) BGR."""
    lettering = lay_out(canvas, text)
    height, pad = lettering.size_wh[1], lettering.pad_px
    y0 = max(0, canvas.shape[0] - height - 4 * pad) if at_bottom else 0
    strip = canvas[y0 : y0 + height + 4 * pad]
    strip[:] = cv2.addWeighted(strip, 0.25, np.full_like(strip, colour), 0.75, 0)
    at = (2 * pad, y0 + height + 2 * pad)
    cv2.putText(canvas, text, at, FONT, lettering.scale, PAPER, lettering.stroke_px, cv2.LINE_AA)


def lay_out(canvas: U8, text: str) -> Lettering:
    """The text at a size that suits the image (H, W, 3); smaller where it would not fit."""
    scale = SCALE_360P * max(1.0, min(canvas.shape[:2]) / 360) ** 0.8
    stroke_px, pad = max(1, round(scale * 1.4)), round(8 * scale)
    (width, height), _ = cv2.getTextSize(text, FONT, scale, stroke_px)
    room = canvas.shape[1] - 4 * pad
    if width > room > 0:
        scale *= room / width
        stroke_px = max(1, round(scale * 1.4))
        (width, height), _ = cv2.getTextSize(text, FONT, scale, stroke_px)
    return Lettering(text, scale, stroke_px, cast("tuple[int, int]", (width, height)), pad)


def _choices(canvas: U8, subject: TrackedSubject) -> Iterator[tuple[Lettering, Plate]]:
    """Texts and places inside the image, the best first."""
    height, width = canvas.shape[:2]
    x0, x1 = (int(np.clip(subject.xyxy[side], 0, width)) for side in (X0, X1))
    y0, y1 = (int(np.clip(subject.xyxy[side], 0, height)) for side in (Y0, Y1))
    name = f"{subject.label} #{subject.id}"
    for text in (f"{name} {certainty(subject.score)}", name, f"#{subject.id}"):
        lettering = lay_out(canvas, text)
        w, h = lettering.plate_wh
        for x, y in ((x0, y0 - h), (x1 - w, y0 - h), (x0, y0), (x1 - w, y0), (x0, y1), (x1 - w, y1)):
            x_inside = min(max(x, 0), width - w)
            if x_inside >= 0 and 0 <= y <= height - h:
                yield lettering, Plate(x_inside, y, x_inside + w, y + h)
