"""The file that a fleet's messages write, `conf.d/70-fleet.toml`: settings of a group, without secrets and identity.

The daemon may write this file alone, so it has nothing that names this device, its broker, its cameras' addresses or a
password: a message for a group is read by all who may read there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from edged.config.layers import Layer
from edged.config.toml_lines import Key
from edged.config.toml_text import dotted
from edged.errors import ConfigError

FLEET_FILE = "70-fleet.toml"
TABLES = (
    *("cameras", "profiles", "models", "compute", "publish", "throttle", "homeassistant", "commands", "evidence"),
    "update",
)
NOT_OF_CAMERAS = ("source", "username", "password", "onvif_serial")


def check_fleet_file(layer: Layer) -> None:
    """Raises `ConfigError` with a line for each key that a fleet may not set."""
    wrong = [
        f"{layer.where(key)} {dotted(key)}: is the device's own, and no fleet sets it; give it in another file"
        for key in _foreign_keys(layer)
    ]
    if wrong:
        raise ConfigError("\n".join(wrong), "not-of-fleets")


def _foreign_keys(layer: Layer) -> Iterator[Key]:
    yield from ((name,) for name in layer.values if name not in TABLES)
    cameras = layer.values.get("cameras")
    for camera, table in cameras.items() if isinstance(cameras, Mapping) else ():
        if isinstance(table, Mapping):
            yield from (("cameras", camera, name) for name in NOT_OF_CAMERAS if name in table)
