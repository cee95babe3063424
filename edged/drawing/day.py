"""A stall's day as one picture: posture, head height, activity and alerts over 24 hours, and their totals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from edged.behaviour.horse.day_log import HOURS, MINUTES, MinuteCode, StallDay
from edged.behaviour.local_day import clock_minute
from edged.frame import U8
from edged.units import S_PER_MIN

Colour = tuple[int, int, int]  # BGR

PAPER, INK, PALE, EMPTY = (250, 250, 250), (60, 55, 50), (170, 165, 160), (232, 230, 228)
POSTURES: Mapping[MinuteCode, Colour] = {
    MinuteCode.STANDING: (176, 196, 132),
    MinuteCode.STERNAL: (208, 156, 84),
    MinuteCode.LATERAL: (142, 84, 46),
    MinuteCode.UNKNOWN: (200, 198, 196),
}
HEADS: Mapping[MinuteCode, Colour] = {
    MinuteCode.HEAD_ABOVE: (120, 170, 230),
    MinuteCode.HEAD_LEVEL: (190, 205, 220),
    MinuteCode.HEAD_BELOW: (90, 160, 110),
}
LEGEND = (  # label, seconds of the day, colour
    ("standing", "standing-s", POSTURES[MinuteCode.STANDING]),
    ("on its chest", "sternal-s", POSTURES[MinuteCode.STERNAL]),
    ("on its side", "lateral-s", POSTURES[MinuteCode.LATERAL]),
    ("unknown", "unknown-s", POSTURES[MinuteCode.UNKNOWN]),
)
COUNTS = (("lay down", "lie-down"), ("rolled", "roll"), ("pawed", "paw"), ("looked back", "flank-look"))
MOTION, ALARM = (96, 96, 200), (48, 48, 205)
LEFT, TOP, BOTTOM = 130, 70, 110  # px; each minute is one pixel wide
ROWS = {"posture": (90, 64), "head": (176, 26), "activity": (224, 70), "alerts": (320, 26)}  # y and height, px
FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw_day(name: str, day: StallDay) -> U8:
    """A chart, (H, W, 3) uint8 BGR, of one day of the stall `name`; W depends on how long the day was."""
    minutes = len(day.postures)
    image = np.full((TOP + 300 + BOTTOM, LEFT + minutes + 30, 3), PAPER, np.uint8)
    _text(image, f"{name}   {day.date}", (LEFT, 40), INK, 0.9)
    for label, (y, height) in ROWS.items():
        _text(image, label, (20, y + height // 2 + 5), INK, 0.5)
        cv2.rectangle(image, (LEFT, y), (LEFT + minutes, y + height), EMPTY, -1)
    _ribbon(image, day.postures, POSTURES, *ROWS["posture"])
    _ribbon(image, day.heads, HEADS, *ROWS["head"])
    _activity(image, day.activity)
    y, height = ROWS["alerts"]
    for minute, _ in day.alerts:
        cv2.circle(image, (LEFT + minute, y + height // 2), 7, ALARM, -1, cv2.LINE_AA)
    _hours(image, day)
    _legend(image, day)
    return image


def _ribbon(image: U8, codes: U8, colours: Mapping[MinuteCode, Colour], y: int, height: int) -> None:
    """Paint the minutes (minutes,) of each code in its colour."""
    ribbon = image[y : y + height, LEFT : LEFT + len(codes)]
    for code, colour in colours.items():
        ribbon[:, codes == code] = colour


def _activity(image: U8, seconds_by_minute: Sequence[float]) -> None:
    """Draw a bar per minute; the day's most active minute has the full height."""
    y, height = ROWS["activity"]
    max_s = max(*seconds_by_minute, 1.0)
    for minute, seconds in enumerate(seconds_by_minute):
        if seconds:
            x = LEFT + minute
            cv2.line(image, (x, y + height), (x, y + height - round(height * seconds / max_s)), MOTION, 1)


def _hours(image: U8, day: StallDay) -> None:
    """Mark every second hour of the wall clock."""
    changes = len(day.postures) != MINUTES
    for hour in range(0, 25, 2):
        x = LEFT + 60 * hour
        if changes and hour:
            x = LEFT + (clock_minute(day.date, hour) if hour < HOURS else len(day.postures))
        cv2.line(image, (x, 84), (x, 350), PALE, 1)
        _text(image, f"{hour:02}", (x - 9, 368), INK, 0.45)


def _legend(image: U8, day: StallDay) -> None:
    x = LEFT
    for label, name, colour in LEGEND:
        cv2.rectangle(image, (x, 388), (x + 16, 404), colour, -1)
        _text(image, f"{label} {_clock(day.total(name))}", (x + 24, 401), INK, 0.5)
        x += 250
    totals = [
        f"observed {_clock(day.observed_s)} of {_clock(len(day.postures) * S_PER_MIN)}",
        f"longest lying {_clock(day.longest_min * S_PER_MIN)}",
    ]
    totals += [f"{label} {day.total(key):.0f}x" for label, key in COUNTS]
    totals += sorted({f"alert: {kind}" for _, kind in day.alerts})
    _text(image, "    ".join(totals), (LEFT, 440), INK, 0.5)


def _clock(seconds: float) -> str:
    minutes = round(seconds / S_PER_MIN)
    return f"{minutes // 60}:{minutes % 60:02}"


def _text(image: U8, text: str, at: tuple[int, int], colour: Colour, size: float) -> None:
    cv2.putText(image, text, at, FONT, size, colour, 1, cv2.LINE_AA)
