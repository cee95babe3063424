"""A stall's day, asked for and sent as a picture."""

from __future__ import annotations

import numpy as np
import pytest

from edged.behaviour.horse.day_log import StallDay
from edged.config.tree import Config
from edged.control.day_picture import DayPictures
from edged.errors import CommandRejected
from edged.frame import U8
from edged.messages import build
from edged.messages.commands import Day
from edged.mqtt.memory_bus import MemoryBus
from tests.integration.test_handlers import encode
from tests.unit.test_publisher import HEADERS

STALL = {"source": "0", "stall": {"enabled": True}}
CONFIG = Config.model_validate({"cameras": {"stall-1": STALL, "yard": {"source": "1"}}})
KEPT = {"stall-1": [StallDay("2027-03-01"), StallDay("2027-03-02")]}


def draw(name: str, day: StallDay) -> U8:
    return np.full((2, 4, 3), int(day.date[-1]), np.uint8)


@pytest.fixture
def bus() -> MemoryBus:
    return MemoryBus(lambda state: build.device_status(HEADERS, state))


def days(bus: MemoryBus) -> DayPictures:
    return DayPictures(
        settings=lambda: CONFIG, days_of=lambda name: KEPT.get(name, []), bus=bus, draw=draw, encode=encode
    )


def test_a_day_is_sent_as_a_picture(bus: MemoryBus) -> None:
    done = days(bus).day(Day(camera="stall-1", date="2027-03-01"))
    assert bus.messages_on("cam/stall-1/day") == [bytes([1]) * 24]
    assert done.data == {"camera": "stall-1", "date": "2027-03-01", "image": {"w": 4, "h": 2}, "bytes": 24}


def test_without_a_date_it_is_the_running_one(bus: MemoryBus) -> None:
    assert days(bus).day(Day(camera="stall-1")).data["date"] == "2027-03-02"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (Day(camera="stall-1", date="2027-02-28"), "2027-03-01, 2027-03-02"),
        (Day(camera="yard"), "one with days: stall-1"),
        (Day(camera="nosuch"), "one with days: stall-1"),
    ],
)
def test_a_day_that_is_not_kept_is_declined(asked: Day, said: str, bus: MemoryBus) -> None:
    with pytest.raises(CommandRejected, match=said):
        days(bus).day(asked)
    assert bus.messages_on("cam/yard/day") == []
