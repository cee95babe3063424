"""What no file describes: a camera whose source, and keys whose values, are given on the command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from edged.config.layers import options_layer
from edged.config.messages import Layers, config_error
from edged.config.tables.camera import CameraConfig
from edged.config.toml_lines import Key
from edged.config.tree import Config
from edged.config.types import redact
from edged.errors import ConfigError


def camera_from_source(source: str, **options: object) -> CameraConfig:
    """A camera of that source. Raises `ConfigError` for what cannot be one."""
    try:
        return CameraConfig.model_validate({"source": source, **options})
    except ValidationError as exc:
        fault = exc.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
        raise ConfigError(f"{redact(source)}: {fault}") from None


def config_from_options(values: Mapping[str, Any], options: Mapping[Key, str]) -> Config:
    """The configuration of these values; `options` are what its keys are called on the command line.

    Raises `ConfigError` with a line for every problem.
    """
    try:
        return Config.model_validate(values)
    except ValidationError as exc:
        raise config_error(Layers((options_layer(options),)).problems(exc)) from None  # pydantic shows the values
