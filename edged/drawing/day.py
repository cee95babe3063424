"""A stall's day as one picture: posture, head height, activity and alerts over 24 hours, and their totals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from edged.behaviour.horse.day_log import HOURS, MINUTES, MinuteCode, StallDay
from edged.behaviour.local_day import clock_minute, wall_clock
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
HEAD_LEGEND = (
    ("head up", "head-above-s", HEADS[MinuteCode.HEAD_ABOVE]),
    ("level", "head-level-s", HEADS[MinuteCode.HEAD_LEVEL]),
    ("down", "head-below-s", HEADS[MinuteCode.HEAD_BELOW]),
)
MOTION, ALARM = (96, 96, 200), (48, 48, 205)
LEFT, TOP, BOTTOM = 130, 70, 180  # px; each minute is one pixel wide
ROWS = {"posture": (90, 64), "head": (176, 26), "activity": (224, 70), "alerts": (320, 66)}  # y and height, px
ALERT_LINES = 3  # in their row, so that names of alerts close to each other do not cover one another
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
    _hours(image, day)
    _legend(image, day, _alerts(image, day))
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


def _alerts(image: U8, day: StallDay) -> list[str]:
    """Draw a dot for each alert, and its time and name on the first line with room; the names without room."""
    unnamed = []
    (y, height), ends = ROWS["alerts"], [0] * ALERT_LINES
    for minute, kind in sorted(day.alerts):
        x, label = LEFT + minute, f"{wall_clock(day.date, minute)} {kind}"
        width = cv2.getTextSize(label, FONT, 0.45, 1)[0][0]
        left = x + 10 if x + 10 + width < image.shape[1] else x - 10 - width
        line = next((i for i, end in enumerate(ends) if end < min(left, x - 7)), None)
        middle = y + (2 * (line or 0) + 1) * height // (2 * ALERT_LINES)
        cv2.circle(image, (x, middle), 6, ALARM, -1, cv2.LINE_AA)
        if line is None:
            unnamed.append(label)
        else:
            ends[line] = max(left + width, x + 7)
            _text(image, label, (left, middle + 5), INK, 0.45)
    return unnamed


def _hours(image: U8, day: StallDay) -> None:
    """Mark every second hour of the wall clock."""
    changes = len(day.postures) != MINUTES
    for hour in range(0, 25, 2):
        x = LEFT + 60 * hour
        if changes and hour:
            x = LEFT + (clock_minute(day.date, hour) if hour < HOURS else len(day.postures))
        cv2.line(image, (x, 84), (x, 390), PALE, 1)
        _text(image, f"{hour:02}", (x - 9, 408), INK, 0.45)


def _legend(image: U8, day: StallDay, unnamed_alerts: Sequence[str]) -> None:
    for y, entries in ((428, LEGEND), (458, HEAD_LEGEND)):
        for place, (label, name, colour) in enumerate(entries):
            x = LEFT + 250 * place
            cv2.rectangle(image, (x, y), (x + 16, y + 16), colour, -1)
            _text(image, f"{label} {_duration(day.total(name))}", (x + 24, y + 13), INK, 0.5)
    cv2.rectangle(image, (LEFT + 750, 458), (LEFT + 766, 474), MOTION, -1)
    _text(image, "activity: movement in each minute, against the day's most", (LEFT + 774, 471), INK, 0.5)
    totals = [
        f"observed {_duration(day.observed_s)} of {_duration(len(day.postures) * S_PER_MIN)}",
        f"longest lying {_duration(day.longest_min * S_PER_MIN)}",
    ]
    totals += [f"{label} {day.total(key):.0f}x" for label, key in COUNTS]
    totals += [f"alert {label}" for label in unnamed_alerts]
    _text(image, "    ".join(totals), (LEFT, 512), INK, 0.5)


def _duration(seconds: float) -> str:
    """`45 s`, `12 min`, `3 h 05 min`"""
    if seconds < S_PER_MIN:
        return f"{seconds:.0f} s"
    minutes = round(seconds / S_PER_MIN)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def _text(image: U8, text: str, at: tuple[int, int], colour: Colour, size: float) -> None:
    cv2.putText(image, text, at, FONT, size, colour, 1, cv2.LINE_AA)
