"""`edged send`: send a command to a device over MQTT, print its answer, and keep its picture."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edged.commands import broker_args
from edged.commands.argument_types import seconds
from edged.config.load import load
from edged.config.schema import node_of_schema
from edged.config.tables.mqtt import MqttConfig
from edged.config.tree import Config
from edged.device.identity import device_id
from edged.errors import ConfigError, NotWritten
from edged.foreign_text import printable, printable_json
from edged.messages.commands import COMMANDS
from edged.messages.topics import DAY, SNAPSHOT
from edged.mqtt.request import ResponseTimeout, online_devices, request_picture
from engines.store.disk import write

TIMEOUT_S = 15.0
PICTURES = {"snapshot": SNAPSHOT, "day": DAY}  # commands that publish one, and where


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("command", type=_topic_level, metavar="COMMAND", help="such as snapshot, set-rate, diagnose")
    parser.add_argument("values", nargs="*", metavar="NAME=VALUE", help="its arguments: camera=stall1 hz=5")
    parser.add_argument(
        "--to",
        type=_topic_level,
        metavar="DEVICE",
        help="the device (default: the configured one, or the only one online)",
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="where to write the picture of snapshot or day")
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
    broker = broker_args.broker_config(args, settings.mqtt)
    values = _values(args.command, args.values)
    picture = _picture_topic(args.command, values, wanted=args.out is not None)
    device = args.to or _device(broker, settings)
    try:
        answer, content = request_picture(broker, device, args.command, values, args.within, picture=picture)
    except ResponseTimeout as error:
        raise ResponseTimeout(f"{error} Online here: {', '.join(online_devices(broker)) or 'no device'}") from None
    if not answer.get("ok"):
        told = {key: printable(text) for key, text in answer["error"].items()}
        print(f"{told['what']}: got {told['got']}\n  want {told['wanted']}\n  {told['do']}", file=sys.stderr)
        return 1
    print(printable_json(answer.get("data", {}), indent=2))
    return _keep(args.out, content) if args.out is not None else 0


def _device(broker: MqttConfig, settings: Config) -> str:
    """The configured device; without a configuration the only one that is online. Raises ConfigError, BrokerLost."""
    if settings.device.id != "auto" or settings.cameras:
        return device_id(settings.device.id)
    online = online_devices(broker)
    if len(online) != 1:
        where = f"{broker.place}, below {broker.base_topic}/"
        raise ConfigError(f"--to: which device? Online at {where}: {', '.join(online) or 'none'}")
    return online[0]


def _picture_topic(verb: str, values: Mapping[str, Any], *, wanted: bool) -> str | None:
    """Where the picture of this command is published; None: none is wanted. Raises ConfigError."""
    if not wanted:
        return None
    if verb not in PICTURES or not isinstance(values.get("camera"), str):
        raise ConfigError(f"--out: only {' and '.join(PICTURES)} of a camera have a picture: snapshot camera=NAME")
    return PICTURES[verb].at(camera=values["camera"]).path


def _keep(path: Path, picture: bytes | None) -> int:
    """Write the JPEG that came; 1: none came."""
    if picture is None:
        print(f"edged send: {path}: the picture did not arrive; may this user read its topic?", file=sys.stderr)
        return 1
    try:
        if path.is_symlink() or (path.exists() and not path.is_file()):  # as /dev/stdout: what it is stays
            path.write_bytes(picture)
        else:
            write(path, picture)
    except OSError as exc:
        raise NotWritten(f"{path}: {exc.strerror}. Choose a writable folder with free space", "folder") from exc
    print(f"{path}: {len(picture)} bytes", file=sys.stderr)
    return 0


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
