"""`edged send`: tell a box to do something, over MQTT, and print its answer."""

from __future__ import annotations

import argparse
import json
import re
import sys
from typing import Any

from edged.commands import reach
from edged.commands.run import seconds

VERB = "send"
SUMMARY = "Send a command to a box and print its answer."
TIMEOUT_S = 15.0


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("command", type=_topic_level, metavar="COMMAND", help="such as snapshot, set-rate, diagnose")
    parser.add_argument("values", nargs="*", metavar="NAME=VALUE", help="its arguments: camera=stall1 hz=5")
    parser.add_argument("--to", type=_topic_level, metavar="DEVICE", help="the box (the one of the configuration)")
    parser.add_argument(
        "--within", type=seconds, default=TIMEOUT_S, metavar="SECONDS", help="wait so long for the answer"
    )
    reach.arguments(parser)


def _topic_level(text: str) -> str:
    """One level of a topic. Raises ArgumentTypeError."""
    if not re.fullmatch("[A-Za-z0-9_-]+", text):
        raise argparse.ArgumentTypeError(f"{text!r}: want letters, digits, - and _")
    return text


def run(args: argparse.Namespace) -> int:
    """0: done; 1: not done, or no answer."""
    from edged.config.load import load  # noqa: PLC0415
    from edged.config.tree import Config  # noqa: PLC0415
    from edged.device.identity import device_id  # noqa: PLC0415
    from edged.mqtt.request import request  # noqa: PLC0415

    settings = load(args.config) if args.config or args.host is None else Config()
    broker, device = reach.broker_config(args, settings.mqtt), args.to or device_id(settings.device.id)
    answer = request(broker, device, args.command, _values(args.command, args.values), args.within)
    if answer["ok"]:
        print(json.dumps(answer["data"], indent=2, ensure_ascii=False))
        return 0
    error = answer["error"]
    print(f"{error['what']}: got {error['got']}\n  want {error['wanted']}\n  {error['do']}", file=sys.stderr)
    return 1


def _values(verb: str, pairs: list[str]) -> dict[str, Any]:
    """As the command wants them: text stays text, whatever it looks like. Raises ConfigError."""
    from edged.config.schema import node_of_schema  # noqa: PLC0415
    from edged.errors import ConfigError  # noqa: PLC0415
    from edged.messages.commands import COMMANDS  # noqa: PLC0415

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
