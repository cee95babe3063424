"""What is configured about the box's own well-being. Nothing here reads anything."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from edged.config.types import Hertz, Number, Seconds, Section, unit

Celsius = Annotated[Number, Field(ge=20, le=125, json_schema_extra=unit("°C"))]
StepRate = Annotated[Hertz, Field(ge=0.5, le=240)]


class ThrottleConfig(Section):
    """What gives way when the box is too hot or is held back by its own protection: the rate, step by step."""

    steps_hz: tuple[StepRate, ...] = Field(
        (10, 5, 2),
        max_length=8,
        json_schema_extra=unit("Hz"),
        description="Most frames looked at per camera and second, one step after the other. []: the rate never falls.",
        examples=[[10, 5, 2]],
    )
    hot_c: Celsius = Field(90, description="From here on in the hottest zone, a step down; so for throttling.")
    cool_c: Celsius = Field(82, description="Below, and without throttling, it may go up again.")
    hold_s: Seconds = Field(30, ge=1, le=3600, description="Time between two steps down.")
    calm_s: Seconds = Field(120, ge=1, le=86400, description="How long it must be cool before a step up.")

    @model_validator(mode="after")
    def _check_order(self) -> ThrottleConfig:
        if self.cool_c >= self.hot_c:
            raise ValueError("cool_c must be below hot_c; lower the one or raise the other")
        if list(self.steps_hz) != sorted(set(self.steps_hz), reverse=True):
            raise ValueError("steps_hz must fall from step to step; write the highest rate first")
        return self
