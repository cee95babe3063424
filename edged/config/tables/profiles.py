"""`[profiles.<name>]`: what changes at cameras by a timetable or by command."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from edged.config.types import Flag, FrameRate, Int, Name, Score, Section, unit

RESERVED = ("auto", "none")  # in the command `profile`: by the timetable; none at all


def profile_choices(profiles: Iterable[str]) -> list[str]:
    """What the command `profile` can name where these are configured."""
    return [*RESERVED, *profiles]


def _check_time(value: str) -> str:
    if not re.fullmatch("([01][0-9]|2[0-3]):[0-5][0-9]", value):
        raise ValueError("must be a local time from 00:00 to 23:59")
    return value


def _check_name(value: str) -> str:
    if value in RESERVED:
        raise ValueError(f"must be another name: {' and '.join(RESERVED)} mean something to the command `profile`")
    return value


TimeOfDay = Annotated[str, AfterValidator(_check_time)]
ProfileName = Annotated[Name, AfterValidator(_check_name)]


class CameraChanges(Section):
    """What the profile changes of this camera. A key left out stays as the camera has it."""

    enabled: Flag | None = Field(
        None, description="False: the camera is closed. One with `enabled = false` stays so.", examples=[False]
    )
    alerts: Flag | None = Field(None, description="Open alerts.", examples=[False])
    images: Flag | None = Field(None, description="Pictures may be sent.", examples=[False])
    fps: FrameRate | None = Field(None, description="Requested rate.", examples=[5])
    classes: tuple[str, ...] | None = Field(None, min_length=1, description="Published classes.", examples=[["horse"]])
    thresholds: dict[str, Score] | None = Field(
        None, description="Lowest score of a subject, per class.", examples=[{"horse": 0.3}]
    )
    mode: Literal["multi", "single", "adaptive"] | None = Field(
        None, description="Which subjects are published.", examples=["single"]
    )
    max_subjects: Int | None = Field(
        None, ge=1, le=64, json_schema_extra=unit("subjects"), description="Most subjects per frame.", examples=[2]
    )
    detector_interval: Int | None = Field(
        None, ge=1, le=60, json_schema_extra=unit("frames"), description="Detect on every n-th frame.", examples=[5]
    )


class ProfileConfig(Section):
    """Cameras run otherwise from `start` to `end`, or while the command `profile` asks for it."""

    start: TimeOfDay | None = Field(
        None, description="Local time when it begins, every day. Left out: by command only.", examples=["21:00"]
    )
    end: TimeOfDay | None = Field(
        None, description="Local time when it ends; may be after midnight.", examples=["05:30"]
    )
    cameras: dict[Name, CameraChanges] = Field(
        {}, json_schema_extra={"additionalProperties": False}, description="What changes, by camera."
    )

    @model_validator(mode="after")
    def _check_times(self) -> ProfileConfig:
        if (self.start is None) != (self.end is None):
            raise ValueError("start and end must come together; give both or neither")
        if self.start is not None and self.start == self.end:
            raise ValueError("start must differ from end; leave the camera's own keys as you want them all day")
        return self

    def applies_at(self, time: str) -> bool:
        """Whether its timetable has this local time, `HH:MM`."""
        if self.start is None or self.end is None:
            return False
        if self.start < self.end:
            return self.start <= time < self.end
        return time >= self.start or time < self.end
