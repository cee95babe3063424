"""`edged send`: send a command to a device over MQTT and print its answer."""

from __future__ import annotations

import argparse
import json
import re
import sys
from typing import Any

from edged.commands import broker_args
from edged.commands.argument_types import seconds
from edged.config.load import load
from edged.config.schema import node_of_schema
from edged.config.tree import Config
from edged.device.identity import device_id
from edged.errors import ConfigError
from edged.messages.commands import COMMANDS
from edged.mqtt.request import request

TIMEOUT_S = 15.0


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("command", type=_topic_level, metavar="COMMAND", help="such as snapshot, set-rate, diagnose")
    parser.add_argument("values", nargs="*", metavar="NAME=VALUE", help="its arguments: camera=stall1 hz=5")
    parser.add_argument(
        "--to", type=_topic_level, metavar="DEVICE", help="the device (default: the one in the configuration)"
    )
    parser.add_argument(
        "--within",
        type=seconds,
        default=TIMEOUT_S,
        metavar="SECONDS",
        help="how long to wait for the answer (%(default)g)",
    )
    broker_args.arguments(parser)


def _topic_level(text: str) -> str:
    """One level of a topic. Raises ArgumentTypeError."""
    if not re.fullmatch("[A-Za-z0-9_-]+", text):
        raise argparse.ArgumentTypeError(f"{text!r}: want letters, digits, - and _")
    return text


def run(args: argparse.Namespace) -> int:
    """0: the device did it; 1: it refused, or did not answer."""
    settings = load(args.config) if args.config or args.host is None else Config()
    broker, device = broker_args.broker_config(args, settings.mqtt), args.to or device_id(settings.device.id)
    answer = request(broker, device, args.command, _values(args.command, args.values), args.within)
    if answer["ok"]:
        print(json.dumps(answer["data"], indent=2, ensure_ascii=False))
        return 0
    error = answer["error"]
    print(f"{error['what']}: got {error['got']}\n  want {error['wanted']}\n  {error['do']}", file=sys.stderr)
    return 1


def _values(verb: str, pairs: list[str]) -> dict[str, Any]:
    """The command's arguments: text where it takes text, else JSON. Raises ConfigError."""
    known = node_of_schema(COMMANDS[verb].model_json_schema()).children if verb in COMMANDS else {}
    values: dict[str, Any] = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign:
            raise ConfigError(f"{pair}: want NAME=VALUE; arguments of {verb}: {', '.join(known) or 'none'}")
        values[name] = value if name in known and known[name].kind == "string" else _parse_value(value)
    return values


def _parse_value(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value
