"""A stall's day, sent as a picture when somebody asks for it. It shows no image of the stall, and nobody in it.

Upstream `control`, in its thread. Downstream the bus.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edged.behaviour.horse.day_log import StallDay
from edged.config.tree import Config
from edged.control.dispatcher import CommandResult
from edged.errors import CommandRejected
from edged.frame import U8
from edged.messages.bus import Bus
from edged.messages.commands import Day
from edged.messages.topics import DAY
from edged.units import BYTES_PER_KB


class DayPictures:
    """`kept` are a camera's days, the oldest first; `draw` and `encode` make the picture."""

    def __init__(
        self,
        *,
        settings: Callable[[], Config],
        days_of: Callable[[str], Sequence[StallDay]],
        bus: Bus,
        draw: Callable[[str, StallDay], U8],
        encode: Callable[[U8, int], tuple[bytes, tuple[int, int]]],
    ) -> None:
        self._settings = settings
        self._days_of = days_of
        self._bus = bus
        self._draw = draw
        self._encode = encode

    def day(self, command: Day) -> CommandResult:
        name = command.camera
        days = {day.date: day for day in self._days_of(name)}
        if not days:
            stalls = ", ".join(
                stall for stall, camera in self._settings().enabled_cameras.items() if camera.stall.enabled
            )
            raise CommandRejected(
                "camera", got=ascii(name), wanted=f"one with days: {stalls or 'none'}", do="name one, or wait"
            )
        date = command.date or max(days)
        if date not in days:
            raise CommandRejected("date", got=ascii(date), wanted=f"one of {', '.join(days)}", do="name one of these")
        picture, (w, h) = self._encode(
            self._draw(name, days[date]), self._settings().commands.snapshot_max_kb * BYTES_PER_KB
        )
        self._bus.publish(DAY.at(camera=name), picture)
        return CommandResult(data={"camera": name, "date": date, "image": {"w": w, "h": h}, "bytes": len(picture)})
