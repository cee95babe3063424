"""The types of configuration values, each with its checks and its unit. Downstream: the configuration tree."""

from __future__ import annotations

import re
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    Strict,
    StrictBool,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from edged.config.characters import invisible

NAME = "[a-z0-9][a-z0-9_-]{0,62}"
TOPIC = r"[^/#+$\s]([^#+\s]*[^/#+\s])?"
MAX_HOST_CHARS = 253  # of DNS
MAX_TOPIC_BYTES = 1024  # of `mqtt.base_topic` and the like
MIN_SIDE_PX = 8  # smallest side of a region
MIN_RATE_HZ = 0.01  # of a camera


def unit(name: str) -> dict[str, Any]:
    """The unit of a field, shown in the reference and in error messages."""
    return {"unit": name}


def _check_name(value: str) -> str:
    if not re.fullmatch(NAME, value):
        raise ValueError("must be 1 to 63 of a-z 0-9 _ -, a letter or digit first")
    return value


def _check_topic(value: str) -> str:
    if not re.fullmatch(TOPIC, value) or not value.isprintable():
        raise ValueError("must be topic levels, like site/edged; no space, # or +, no / at either end, no $ in front")
    if len(value.encode()) > MAX_TOPIC_BYTES:
        raise ValueError(f"must be {MAX_TOPIC_BYTES} bytes or less; every topic begins with it")
    return value


def is_host(value: str) -> bool:
    """Whether it is a name, or an address; of IPv6 without brackets. Nobody is asked whether the name exists."""
    if ":" not in value and not re.fullmatch("[0-9.]+", value):
        return len(value) <= MAX_HOST_CHARS and re.fullmatch(r"[\w-]+(\.[\w-]+)*\.?", value) is not None
    try:
        ip_address(value)
    except ValueError:
        return False
    return True


def check_host(value: str) -> str:
    """The value, a host name or address, or nothing. Raises ValueError."""
    if value and not is_host(value):
        raise ValueError("must be a host name or address alone, IPv6 without brackets; the port goes to the key port")
    return value


def split_address(value: str) -> tuple[str, int | None]:
    """`HOST` or `HOST:PORT`, an IPv6 address with a port in brackets, as both. Raises ValueError."""
    if is_host(value):
        return value, None
    found = re.fullmatch(r"(?:\[([^\]]*:[^\]]*)\]|([^:]*))(?::([0-9]{1,5}))?", value)
    port = int((found[3] or 1) if found else 0)
    if found is None or not 1 <= port <= 65535 or not is_host(found[1] or found[2]):
        raise ValueError("must be HOST or HOST:PORT, as node-2.example or 10.0.0.12:8883; of IPv6 [ADDRESS]:PORT")
    return found[1] or found[2], port if found[3] else None


def _check_address(value: str) -> str:
    split_address(value)
    return value


def _check_server_name(value: str) -> str:
    if value and not is_host(value):
        raise ValueError("must be a host name or address alone, as the certificate has it")
    return value


def _check_secret(value: SecretStr) -> SecretStr:
    if problem := invisible(value.get_secret_value(), controls=True):  # a credential is one line of text, too
        raise ValueError(problem)
    return value


def _check_path(value: Path) -> Path:
    if value == Path() or "\0" in str(value):
        raise ValueError("must be a path; to go without, leave the key out")
    if str(value).startswith("~"):
        raise ValueError("must be a whole path, as /home/… is; ~ is no folder of the user that the daemon runs as")
    return value


def _check_line(value: str) -> str:
    if re.search(r"[\x00-\x1f\x7f-\x9f]", value):
        raise ValueError("must be one line of text, without control characters; type it anew")
    return value


def _check_area(value: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = value
    if x1 - x0 < MIN_SIDE_PX or y1 - y0 < MIN_SIDE_PX:
        raise ValueError(f"must be [x0, y0, x1, y1], x1 and y1 at least {MIN_SIDE_PX} px beyond x0 and y0")
    return value


def _check_frame_rate(value: float) -> float:
    if 0 < value < MIN_RATE_HZ:
        raise ValueError(f"must be 0 for the source's own rate, or {MIN_RATE_HZ:g}..240 Hz; raise it")
    return value


Int = Annotated[int, Strict()]
Number = Annotated[float, Strict()]
Seconds = Annotated[Number, Field(json_schema_extra=unit("s"))]
Hertz = Annotated[Number, Field(json_schema_extra=unit("Hz"))]
FrameRate = Annotated[Hertz, Field(ge=0, le=240), AfterValidator(_check_frame_rate)]
Grey = Annotated[Number, Field(ge=0, le=255, json_schema_extra=unit("grey levels"))]
Px = Annotated[Number, Field(json_schema_extra=unit("px"))]
Flag = StrictBool
Name = Annotated[
    str, AfterValidator(_check_name), WithJsonSchema({"type": "string", "pattern": f"^{NAME}$", "format": "name"})
]
Topic = Annotated[
    str, AfterValidator(_check_topic), WithJsonSchema({"type": "string", "pattern": f"^{TOPIC}$", "format": "topic"})
]
Secret = Annotated[SecretStr, AfterValidator(_check_secret)]
HostPort = Annotated[str, AfterValidator(_check_address)]
ServerName = Annotated[str, AfterValidator(_check_server_name)]
Line = Annotated[str, AfterValidator(_check_line)]
FilePath = Annotated[Path, AfterValidator(_check_path)]
Score = Annotated[Number, Field(ge=0, le=1)]
CommandName = Literal[
    "snapshot",
    "day",
    "evidence",
    "reload",
    "restart-camera",
    "set-rate",
    "acknowledge",
    "snooze",
    "test-alert",
    "diagnose",
    "switch",
    "profile",
]
ImageSide = Annotated[Int, Field(ge=16, le=16384)]
Pixel = Annotated[Int, Field(ge=0, le=16384)]
Coordinate = Annotated[Number, Field(ge=-16384, le=16384)]
Box = Annotated[
    tuple[Coordinate, Coordinate, Coordinate, Coordinate],
    AfterValidator(_check_area),
    Field(json_schema_extra=unit("px")),
]
Area = Annotated[tuple[Pixel, Pixel, Pixel, Pixel], AfterValidator(_check_area), Field(json_schema_extra=unit("px"))]
Point = Annotated[tuple[Coordinate, Coordinate], Field(json_schema_extra={"format": "point"})]
Polygon = Annotated[tuple[Point, ...], Field(min_length=3, examples=[[[100, 500], [300, 500], [200, 400]]])]


class Section(BaseModel):
    """A table of the file. Unknown keys are errors; the tree never changes after loading.

    Its validator is built when it is first needed: mostly never, as part of the whole tree's.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False, defer_build=True)

    @field_validator("*", mode="before")
    @classmethod
    def _visible(cls, value: object, info: ValidationInfo) -> object:
        """Texts without characters that an editor hides, which are no part of any value but a name for display."""
        for text in value if isinstance(value, list | tuple) else (value,):
            if isinstance(text, str) and info.field_name != "name" and (problem := invisible(text)):
                raise ValueError(problem)
        return value


def table() -> Any:
    """The default of a table: the table with all its defaults."""
    return Field(default_factory=dict, validate_default=True)
