"""`[cameras.<name>.stall]` and `[cameras.<name>.aisle]`: monitoring of a horse in its stall, and of its gait."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from edged.config.types import Flag, Int, Name, Number, Polygon, Section, unit

TIME_OF_DAY = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")


def _check_time_of_day(value: str) -> str:
    if not TIME_OF_DAY.fullmatch(value):
        raise ValueError("must be a local time of day, like 06:30")
    return value


IdleHz = Annotated[Number, Field(ge=1, le=30)]
Metres = Annotated[Number, Field(gt=0, le=50)]
TimeOfDay = Annotated[str, AfterValidator(_check_time_of_day)]


class AisleConfig(Section):
    """A camera along which horses walk, seen from the side at ten frames a second or more."""

    enabled: Flag = Field(
        False, description="Measure the gait of horses that walk past: a trend of the day, never a lameness score."
    )


class FoalingWindowConfig(Section):
    """The days on which foaling alerts are possible."""

    start: date = Field(description="First local date.", examples=["2027-03-01"])
    end: date = Field(description="Last local date.", examples=["2027-04-15"])

    @model_validator(mode="after")
    def _check_order(self) -> FoalingWindowConfig:
        if self.start > self.end:
            raise ValueError("start must not be after end; swap them")
        return self


class StallConfig(Section):
    """Monitoring of one stall; all positions are in px of the upright image."""

    enabled: Flag = Field(False, description="Monitor the horse in this stall.")
    floor: Polygon | None = Field(
        None,
        json_schema_extra=unit("px"),
        description="Corners of the floor. A horse elsewhere is ignored. Left out: every horse counts.",
        examples=[[[80, 700], [1200, 700], [1000, 300], [300, 300]]],
    )
    floor_m: tuple[Metres, Metres] | None = Field(
        None,
        json_schema_extra=unit("m"),
        description="Lengths of side 0 and side 1 of a floor of four corners. With it a horse is measured in metres, "
        "whichever way it faces; the camera must hang at least 2 m above the floor.",
        examples=[[4.0, 3.5]],
    )
    open_sides: tuple[Int, ...] = Field(
        (),
        description="Sides of the floor without a wall, by number: 0 is from the first corner to the second.",
        examples=[[0]],
    )
    zones: dict[Name, Polygon] = Field(
        {},
        json_schema_extra=unit("px"),
        description="Where the nose is while eating or drinking, by name: `feeder`, `hay`, `water`.",
        examples=[{"feeder": [[100, 200], [220, 200], [160, 320]]}],
    )
    idle_hz: IdleHz | None = Field(
        None,
        json_schema_extra=unit("Hz"),
        description="Process this many frames per second while nothing moves, and all of them otherwise. "
        "Left out: always all.",
        examples=[2.0],
    )
    horses: Literal["one", "mare-and-foal"] = Field(
        "one", description="Occupants. Alerts are about the mare; of the foal only the posture is published."
    )
    feeding_times: tuple[TimeOfDay, ...] = Field(
        (),
        description="Local feeding times. Restlessness just before them raises no alert.",
        examples=[["06:30", "17:00"]],
    )
    foaling_window: FoalingWindowConfig | None = None
    people: Literal["presence", "poses"] = Field(
        "presence", description="`presence`: of people only their presence is published, never keypoints."
    )
