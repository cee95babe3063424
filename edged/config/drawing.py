"""What is drawn on a camera's picture, and the keys of the configuration that it becomes. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from edged.config.tables.camera import CameraConfig
from edged.config.tables.stall import Metres
from edged.config.types import Area, Flag, Int, Name, Polygon
from edged.errors import ConfigError

MAX_POLYGONS, MAX_CORNERS = 16, 64

Values = dict[str, Any]


class Drawing(BaseModel):
    """What can be drawn on one camera's picture, in px of the upright image."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    masks: tuple[Polygon, ...] = ()
    roi: Area | None = None
    stall: Flag = False  # monitored
    floor: Polygon | None = None
    floor_m: tuple[Metres, Metres] | None = None
    open_sides: tuple[Int, ...] = ()
    zones: dict[Name, Polygon] = {}
    aisle: Flag = False
    down: Flag = False  # people who lie on the floor are looked for
    beds: tuple[Polygon, ...] = ()


def drawing_of(camera: CameraConfig) -> Drawing:
    """The drawing that is in effect."""
    stall = camera.stall
    return Drawing(
        masks=camera.masks,
        roi=camera.roi,
        stall=stall.enabled,
        floor=stall.floor,
        floor_m=stall.floor_m,
        open_sides=stall.open_sides,
        zones=stall.zones,
        aisle=camera.aisle.enabled,
        down=camera.person_down.enabled,
        beds=camera.person_down.beds,
    )


def parse_drawing(body: Mapping[str, Any]) -> Drawing:
    """The drawing that the page sent. Raises ConfigError."""
    try:
        drawing = Drawing.model_validate_json(json.dumps(body))
    except ValidationError as exc:
        fault = exc.errors(include_url=False)[0]
        raise ConfigError(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}; draw it again", "drawing") from None
    polygons = [*drawing.masks, *drawing.beds, *drawing.zones.values(), *([drawing.floor] if drawing.floor else [])]
    if len(polygons) > MAX_POLYGONS or any(len(polygon) > MAX_CORNERS for polygon in polygons):
        text = f"the drawing has too many parts; at most {MAX_POLYGONS} outlines of {MAX_CORNERS} corners"
        raise ConfigError(text, "drawing-size")
    return drawing


def camera_table(drawing: Drawing, size_wh: tuple[int, int] | None, before: CameraConfig) -> Values:
    """The drawing as `[cameras.<name>]`: what differs from the defaults, or takes away what `before` has."""
    stall: Values = {}
    if drawing.stall or before.stall.enabled:
        stall["enabled"] = drawing.stall
    for name, value in (("floor", drawing.floor), ("floor_m", drawing.floor_m)):
        stall |= {} if value is None else {name: value}
    stall |= {"open_sides": drawing.open_sides} if drawing.open_sides or before.stall.open_sides else {}
    stall |= {"zones": drawing.zones} if drawing.zones else {}
    table: Values = {"masks": drawing.masks} if drawing.masks or before.masks else {}
    if drawing.roi is not None:
        table["roi"] = drawing.roi
    elif before.roi is not None and size_wh is not None:
        table["roi"] = (0, 0, *size_wh)  # TOML has no way to say: none
    table |= {"stall": stall} if stall else {}
    table |= {"aisle": {"enabled": drawing.aisle}} if drawing.aisle or before.aisle.enabled else {}
    if drawing.down or drawing.beds or before.person_down.enabled or before.person_down.beds:
        table["person_down"] = {"enabled": drawing.down, "beds": drawing.beds}
    return table
