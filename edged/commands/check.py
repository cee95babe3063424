"""`edged check`: whether the daemon would start with this configuration, and if not, every line to correct."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edged.config import Config
    from edged.configfile.problems import Layers, Problem

VERB = "check"
SUMMARY = "Check a configuration; print every problem as file:line, key, got, wanted."


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="default: /etc/edged and its conf.d")


def run(args: argparse.Namespace) -> int:
    from edged.configfile.loading import read, validated  # noqa: PLC0415
    from edged.configfile.problems import config_error  # noqa: PLC0415

    layers = read(args.file)
    config = validated(layers)
    if problems := _contradictions(config, layers):
        raise config_error(problems)
    print(_well(config, layers))
    return 0


def _contradictions(config: Config, layers: Layers) -> list[Problem]:
    from edged.configfile.crosscheck import crosscheck  # noqa: PLC0415
    from engines.catalogue import load  # noqa: PLC0415
    from engines.errors import CardError  # noqa: PLC0415

    try:
        cards = load(config.models.catalogue)
    except CardError as exc:
        return [layers.problem(("models", "catalogue"), str(exc), str(config.models.catalogue))]
    return crosscheck(config, layers, cards)


def _well(config: Config, layers: Layers) -> str:
    """`ok: 2 cameras, broker 10.0.0.2:1883, detector det-person-horse; read configs/barn.toml, environment`"""
    count = sum(camera.enabled for camera in config.cameras.values())
    off = f" ({len(config.cameras) - count} not enabled)" if count < len(config.cameras) else ""
    broker = f"broker {config.mqtt.host}:{config.mqtt.port}"
    sources = ", ".join(layer.place for layer in layers.each if layer.lines) or "nothing: all defaults"
    plural = "" if count == 1 else "s"
    return f"ok: {count} camera{plural}{off}, {broker}, detector {config.models.detector}; read {sources}"
