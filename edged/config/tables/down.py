"""`[cameras.<name>.person_down]`: people who lie on the floor where nobody should."""

from __future__ import annotations

from pydantic import Field

from edged.config.types import Flag, Polygon, Seconds, Section, unit

MIN_OBSERVATIONS = 8  # of a person within `after_s`, before an alert


class DownConfig(Section):
    """An alert when a person lies on the floor. The floor is `stall.floor` with `stall.floor_m`, as it is drawn."""

    enabled: Flag = Field(False, description="Open the alert `person-down` at this camera.")
    after_s: Seconds = Field(20, ge=5, le=600, description="The person must lie for about this long.")
    beds: tuple[Polygon, ...] = Field(
        (),
        json_schema_extra=unit("px"),
        description="Where people may lie, on the floor as it is in the image: beds, mats.",
        examples=[[[[100, 500], [300, 500], [280, 400], [120, 400]]]],
    )
