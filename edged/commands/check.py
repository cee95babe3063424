"""`edged check`: would the daemon start with this configuration? If not, every line to correct."""

from __future__ import annotations

import argparse

from edged.commands.argument_types import config_file
from edged.config.load import read_layers
from edged.config.messages import Layers, config_error
from edged.config.tree import NO_CAMERA, Config, require_cameras
from edged.config_check import check_layers, remark_lines
from edged.errors import ConfigError
from edged.units import plural


def arguments(parser: argparse.ArgumentParser) -> None:
    config_file(parser)


def run(args: argparse.Namespace) -> int:
    """0. Raises ConfigError with a line for every problem; remarks are printed and do not matter."""
    layers = read_layers(args.config)
    checked = check_layers(layers)
    remarks = remark_lines(checked.remarks)
    errors = [str(config_error(checked.problems))] if checked.problems else []
    if checked.config is None or errors:
        if checked.config is not None and not checked.config.enabled_cameras:
            errors.append(NO_CAMERA)
        raise ConfigError("\n".join([*errors, *remarks]))
    require_cameras(checked.config)
    print(_summary(checked.config, layers, len(remarks)))
    print("".join(f"{remark}\n" for remark in remarks), end="")
    return 0


def _summary(config: Config, layers: Layers, remarks: int) -> str:
    """`ok, 1 remark: 2 cameras, broker 10.0.0.2:1883, detector det-person-horse; read configs/barn.toml`"""
    count = sum(camera.enabled for camera in config.cameras.values())
    off = f" ({len(config.cameras) - count} not enabled)" if count < len(config.cameras) else ""
    broker = f"broker {config.mqtt.address}"
    sources = ", ".join(layer.name for layer in layers.ordered if layer.lines) or "nothing: all defaults"
    ok = f"ok, {plural(remarks, 'remark')}" if remarks else "ok"
    return f"{ok}: {plural(count, 'camera')}{off}, {broker}, detector {config.models.detector}; read {sources}"
