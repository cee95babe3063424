"""`edged check`: would the daemon start with this configuration? If not, every line to correct."""

from __future__ import annotations

import argparse
from pathlib import Path

from edged.config.load import read_layers
from edged.config.messages import Layers
from edged.config.tree import Config, require_cameras
from edged.config_check import checked_config


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="default: /etc/edged and its conf.d")


def run(args: argparse.Namespace) -> int:
    """0. Raises ConfigError with a line for every problem."""
    layers = read_layers(args.file)
    config = checked_config(layers)
    require_cameras(config)
    print(_summary(config, layers))
    return 0


def _summary(config: Config, layers: Layers) -> str:
    """`ok: 2 cameras, broker 10.0.0.2:1883, detector det-person-horse; read configs/barn.toml, environment`"""
    count = sum(camera.enabled for camera in config.cameras.values())
    off = f" ({len(config.cameras) - count} not enabled)" if count < len(config.cameras) else ""
    broker = f"broker {config.mqtt.host}:{config.mqtt.port}"
    sources = ", ".join(layer.name for layer in layers.ordered if layer.lines) or "nothing: all defaults"
    plural = "" if count == 1 else "s"
    return f"ok: {count} camera{plural}{off}, {broker}, detector {config.models.detector}; read {sources}"
