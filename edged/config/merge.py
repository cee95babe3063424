"""Several sources of the configuration as one, later over earlier, by pydantic-settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource


def merge(sources: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Tables merged key by key; any other value of a later source replaces that of an earlier one."""
    return _Merged(sources).values


class _Merged(BaseSettings):
    """Reads the sources it is given, and none of pydantic-settings' own."""

    values: dict[str, Any] = {}

    def __init__(self, sources: Sequence[Mapping[str, Any]]) -> None:
        super().__init__(sources=sources)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        given = cast(InitSettingsSource, init_settings).init_kwargs["sources"]
        return tuple(InitSettingsSource(settings_cls, {"values": dict(source)}) for source in reversed(given))
