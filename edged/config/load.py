"""From the sources to one validated configuration. Upstream: layers. Downstream: everything that runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

from pydantic import ValidationError
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource

from edged.config.layers import CREDENTIALS_VARIABLE, Layer, credential_layer, environment_layer, file_layer, site_files
from edged.config.messages import Layers, config_error
from edged.config.tree import Config
from edged.errors import ConfigError

ETC = Path("/etc/edged")
CREDENTIALS_DIR = "credentials"  # directory in it, for root alone to read


def load(path: Path | None = None, *, env: Mapping[str, str] | None = None, etc: Path = ETC) -> Config:
    """The configuration, each source over the one before.

    Without `path`: `etc`/edged.toml, then `etc`/conf.d/*.toml by name; what is absent is left out.
    With `path`: that file alone. Then, either way, EDGED_… variables, then systemd's credentials; where there are
    none, whoever may read them takes those in `etc`/credentials, of which systemd makes them.
    Raises `ConfigError` with a line for every problem, in the order of files and lines.
    """
    return validate(read_layers(path, env=env, etc=etc))


def read_layers(path: Path | None = None, *, env: Mapping[str, str] | None = None, etc: Path = ETC) -> Layers:
    """All sources, unvalidated. Raises `ConfigError` with a line for every source that cannot be read."""
    env = os.environ if env is None else env
    unreadable: list[str] = []
    files = [path] if path else site_files(etc)
    layers = [layer for file in files if (layer := _try_layer(file_layer, file, unreadable))]
    cameras = {name for layer in layers for name in _camera_names(layer)}
    layers.append(environment_layer(env, cameras))
    directory = _credentials_dir(path, env, etc)
    if directory and (secrets := _try_layer(credential_layer, directory, unreadable)):
        layers.append(secrets)
    if unreadable:
        raise ConfigError("\n".join(unreadable))
    return Layers(tuple(layers))


def _credentials_dir(path: Path | None, env: Mapping[str, str], etc: Path) -> Path | None:
    if given := env.get(CREDENTIALS_VARIABLE):
        return Path(given)
    kept = etc / CREDENTIALS_DIR
    return kept if path is None and os.access(kept, os.R_OK | os.X_OK) else None


def validate(layers: Layers) -> Config:
    try:
        return _Merged(layers.ordered).config
    except ValidationError as exc:
        raise config_error(layers.problems(exc, above=1)) from None  # pydantic's own text shows the values


def _try_layer(make: Callable[[Path], Layer], path: Path, errors: list[str]) -> Layer | None:
    try:
        return make(path)
    except ConfigError as exc:
        errors.append(str(exc))
        return None


def _camera_names(layer: Layer) -> Iterator[str]:
    return (str(key[1]) for key in layer.lines if key[0] == "cameras" and len(key) > 1)


class _Merged(BaseSettings):
    """pydantic-settings lays the layers over each other; of its own sources none is read."""

    config: Config

    def __init__(self, layers: Sequence[Layer]) -> None:
        super().__init__(layers=layers)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        given = cast(InitSettingsSource, init_settings).init_kwargs["layers"]
        return tuple(InitSettingsSource(settings_cls, {"config": layer.values}) for layer in reversed(given))
