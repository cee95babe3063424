"""A stall's day as one picture: posture, head, activity and alerts over 24 hours, and what they add up to."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from edged.behaviour.horse.day_log import StallDay
from edged.frame import U8
from edged.units import S_PER_MIN

Colour = tuple[int, int, int]  # BGR

PAPER, INK, PALE, EMPTY = (250, 250, 250), (60, 55, 50), (170, 165, 160), (232, 230, 228)
POSTURES: Mapping[str, tuple[str, Colour]] = {
    "S": ("standing", (176, 196, 132)),
    "C": ("on its chest", (208, 156, 84)),
    "L": ("on its side", (142, 84, 46)),
    "?": ("unknown", (200, 198, 196)),
}
HEADS: Mapping[str, tuple[str, Colour]] = {
    "a": ("above", (120, 170, 230)),
    "l": ("level", (190, 205, 220)),
    "b": ("below", (90, 160, 110)),
}
MOTION, ALARM = (96, 96, 200), (48, 48, 205)
WIDTH, LEFT, TOP, BOTTOM = 1440, 130, 70, 110  # a pixel a minute
ROWS = (("posture", 90, 64), ("head", 176, 26), ("activity", 224, 70), ("alerts", 320, 26))
FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw_day(name: str, day: StallDay) -> U8:
    image = np.full((TOP + 300 + BOTTOM, LEFT + WIDTH + 30, 3), PAPER, np.uint8)
    _text(image, f"{name}   {day.date}", (LEFT, 40), INK, 0.9)
    for label, y, height in ROWS:
        _text(image, label, (20, y + height // 2 + 5), INK, 0.5)
        cv2.rectangle(image, (LEFT, y), (LEFT + WIDTH, y + height), EMPTY, -1)
    _ribbon(image, day.postures, POSTURES, 90, 64)
    _ribbon(image, day.heads, HEADS, 176, 26)
    most = max(*day.activity, 1.0)
    for minute, seconds in enumerate(day.activity):
        if seconds:
            x = LEFT + minute
            cv2.line(image, (x, 294), (x, 294 - round(70 * seconds / most)), MOTION, 1)
    for minute, _ in day.alerts:
        cv2.circle(image, (LEFT + minute, 333), 7, ALARM, -1, cv2.LINE_AA)
    _hours(image)
    _legend(image, day)
    return image


def _ribbon(image: U8, codes: str, meanings: Mapping[str, tuple[str, Colour]], y: int, height: int) -> None:
    for minute, code in enumerate(codes):
        if code in meanings:
            image[y : y + height, LEFT + minute] = meanings[code][1]


def _hours(image: U8) -> None:
    for hour in range(0, 25, 2):
        x = LEFT + 60 * hour
        cv2.line(image, (x, 84), (x, 350), PALE, 1)
        _text(image, f"{hour:02}", (x - 9, 368), INK, 0.45)


def _legend(image: U8, day: StallDay) -> None:
    x = LEFT
    for code, (label, colour) in POSTURES.items():
        name = {"S": "standing-s", "C": "sternal-s", "L": "lateral-s", "?": "unknown-s"}[code]
        cv2.rectangle(image, (x, 388), (x + 16, 404), colour, -1)
        said = f"{label} {_clock(day.total(name))}"
        _text(image, said, (x + 24, 401), INK, 0.5)
        x += 250
    counts = (("lay down", "lie-down"), ("rolled", "roll"), ("pawed", "paw"), ("looked back", "flank-look"))
    told = [f"seen {_clock(day.observed_s)} of 24:00", f"longest lying {_clock(day.longest_min * S_PER_MIN)}"]
    told += [f"{label} {day.total(key):.0f}x" for label, key in counts]
    told += sorted({f"alert: {kind}" for _, kind in day.alerts})
    _text(image, "    ".join(told), (LEFT, 440), INK, 0.5)


def _clock(seconds: float) -> str:
    minutes = round(seconds / S_PER_MIN)
    return f"{minutes // 60}:{minutes % 60:02}"


def _text(image: U8, text: str, at: tuple[int, int], colour: Colour, size: float) -> None:
    cv2.putText(image, text, at, FONT, size, colour, 1, cv2.LINE_AA)
