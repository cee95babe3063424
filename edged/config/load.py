"""One validated configuration from all its sources: files, environment, credentials, the command line."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edged.config.fleet_file import FLEET_FILE, check_fleet_file
from edged.config.layers import (
    CREDENTIALS_VARIABLE,
    READ_ERRORS,
    Layer,
    credential_layer,
    environment_layer,
    file_layer,
    options_layer,
    site_files,
)
from edged.config.messages import Layers, config_error
from edged.config.panel_file import PANEL_FILE, check_drawings, without_strays
from edged.config.tables.camera import CameraConfig
from edged.config.toml_lines import Key
from edged.config.tree import Config
from edged.errors import ConfigError
from edged.secret_address import redact_value

log = logging.getLogger(__name__)

ETC = Path("/etc/edged")
CREDENTIALS_DIR = "credentials"  # below ETC; only root may read it


def load(path: Path | None = None, *, env: Mapping[str, str] | None = None, etc: Path = ETC) -> Config:
    """The configuration; each source overrides the ones before.

    Without `path`: `etc`/edged.toml, then `etc`/conf.d/*.toml by name; absent files are skipped. With `path`: that
    file alone; a directory is taken for `etc`. Then in both cases the EDGED_… variables, then systemd's credentials.
    Without systemd (root on a terminal), `etc`/credentials is read instead: systemd makes its credentials from the
    same files.

    Raises `ConfigError` with a line for every problem, in the order of files and lines.
    """
    return validate(read_layers(path, env=env, etc=etc))


def read_layers(
    path: Path | None = None,
    *,
    env: Mapping[str, str] | None = None,
    etc: Path = ETC,
    replaced: Mapping[Path, str] | None = None,
) -> Layers:
    """All sources, unvalidated; of a `replaced` file this text counts, whether the file is there or not.

    Raises `ConfigError` with a line for every source that cannot be read.
    """
    env = os.environ if env is None else env
    texts = replaced or {}
    errors: list[str] = []
    named = path is not None and path.is_dir()
    path, etc = (None, path) if path and named else (path, etc)
    files = [path] if path else site_files(etc, texts)
    if named and not files:
        errors.append(f"{etc}: {READ_ERRORS[IsADirectoryError]}")
    layers = [layer for file in files if (layer := _try_layer(partial(_site_layer, texts), file, errors))]
    layers = without_strays(layers)
    cameras = {name for layer in layers for name in _camera_names(layer)}
    layers.append(environment_layer(env, cameras))
    directory = _credentials_dir(path, env, etc)
    if directory and (secrets := _try_layer(credential_layer, directory, errors)):
        layers.append(secrets)
    if errors:
        raise ConfigError("\n".join(errors))
    hidden = etc / CREDENTIALS_DIR if path is None and directory is None else None
    return Layers(tuple(layers), hidden if hidden is not None and hidden.is_dir() else None)


def _site_layer(texts: Mapping[Path, str], file: Path) -> Layer:
    """The layer of a file of the site; of those that the daemon writes, what may be in them. Raises `ConfigError`."""
    layer = file_layer(file, texts.get(file))
    if file.name == PANEL_FILE:
        check_drawings(layer)
    if file.name == FLEET_FILE:
        check_fleet_file(layer)
    return layer


def validate(layers: Layers) -> Config:
    """The layers merged, later over earlier, and validated. Raises `ConfigError` with a line for every problem."""
    try:
        return Config.model_validate(merged([layer.values for layer in layers.ordered if layer.values]))
    except ValidationError as exc:
        raise config_error(layers.problems(exc)) from None  # pydantic's own text shows the values


def camera_from_source(source: str, **options: object) -> CameraConfig:
    """A camera given on the command line; a file or folder of this name, if there is one, before a device or address.

    Raises `ConfigError` if the source is invalid.
    """
    if os.path.exists(source) and not os.path.isabs(source):
        if source.isdigit():
            log.warning("%s: the file here; for the camera write /dev/video%s", source, source)
        source = f"./{source}"
    try:
        return CameraConfig.model_validate({"source": source, **options})
    except ValidationError as exc:
        fault = exc.errors(include_url=False)[0]
        message = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "string_unicode":
            message = "the name is not UTF-8; rename it, or give the folder it is in"
        if not source:
            message = "is empty; give the path of a video, image or folder, or the address of a camera"
        raise ConfigError(f"{redact_value(source) or 'source'}: {message}") from None


def config_from_options(values: Mapping[str, Any], options: Mapping[Key, str]) -> Config:
    """The configuration of these values; `options` maps its keys to the command line options that gave them.

    Raises `ConfigError` with a line for every problem.
    """
    try:
        return Config.model_validate(values)
    except ValidationError as exc:
        raise config_error(Layers((options_layer(options),)).problems(exc)) from None  # pydantic shows the values


def merged(sources: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The values of the sources as one, later over earlier.

    One source needs no merging: `edged check FILE` does without pydantic-settings, a third of its time.
    """
    if len(sources) < 2:
        return sources[0] if sources else {}
    from edged.config.merge import merge  # noqa: PLC0415

    values = merge(sources)
    for source in sources:
        _keep_misplaced(values, source)
    return values


def _keep_misplaced(values: dict[str, Any], source: Mapping[str, Any]) -> None:
    """Put back, for validation to refuse it, what a source gives in place of a table that others fill in."""
    pairs = [(values, source)]
    while pairs:
        here, given = pairs.pop()
        for key, value in given.items():
            if isinstance(here[key], dict):
                if isinstance(value, Mapping):
                    pairs.append((here[key], value))
                else:
                    here[key] = value


def _credentials_dir(path: Path | None, env: Mapping[str, str], etc: Path) -> Path | None:
    if given := env.get(CREDENTIALS_VARIABLE):
        return Path(given)
    directory = etc / CREDENTIALS_DIR
    return directory if path is None and os.access(directory, os.R_OK | os.X_OK) else None


def _try_layer(make: Callable[[Path], Layer], path: Path, errors: list[str]) -> Layer | None:
    try:
        return make(path)
    except ConfigError as exc:
        errors.append(str(exc))
        return None


def _camera_names(layer: Layer) -> Iterator[str]:
    return (str(key[1]) for key in layer.lines if key[0] == "cameras" and len(key) > 1)
