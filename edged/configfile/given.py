"""A camera that no file describes: its source is named on the command line."""

from __future__ import annotations

from pydantic import ValidationError

from edged.config import Camera
from edged.errors import ConfigError
from edged.kinds import masked


def camera_at(source: str, **options: object) -> Camera:
    """A camera of that source. Raises `ConfigError` for what cannot be one."""
    try:
        return Camera.model_validate({"source": source, **options})
    except ValidationError as exc:
        fault = exc.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
        raise ConfigError(f"{masked(source)}: {fault}") from None
