"""`edged watch`: poses and health of every box of a broker, live."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from edged.commands import reach
from edged.commands.run import seconds

if TYPE_CHECKING:
    import threading

    from edged.config.tables.mqtt import MqttConfig
    from edged.mqtt.connection import IncomingMessage
    from edged.mqtt.fleet_state import FleetState

VERB = "watch"
SUMMARY = "Show poses and health from a broker, live."


def arguments(parser: argparse.ArgumentParser) -> None:
    reach.arguments(parser)
    parser.add_argument("--device", default="+", help="one box only")
    parser.add_argument("--jsonl", action="store_true", help="print every message as one line of JSON")
    parser.add_argument("--for", dest="seconds", type=seconds, metavar="SECONDS", help="stop by itself")


def run(args: argparse.Namespace) -> int:
    """0: there was a connection; 1: there was none."""
    import threading  # noqa: PLC0415
    import time  # noqa: PLC0415

    from edged.config.load import load  # noqa: PLC0415
    from edged.config.tables.mqtt import MqttConfig  # noqa: PLC0415
    from edged.mqtt.fleet_state import FleetState  # noqa: PLC0415
    from edged.mqtt.subscribe import stop_after  # noqa: PLC0415

    broker = reach.broker_config(args, load(args.config).mqtt if args.config else MqttConfig())
    stop = threading.Event()
    watched = FleetState(broker.base, time.monotonic_ns)
    follow = _print if args.jsonl or not sys.stdout.isatty() else _live
    stop_after(args.seconds, stop)
    try:
        return 0 if follow(broker, args, watched, stop) else 1
    except KeyboardInterrupt:
        return 0


def _print(broker: MqttConfig, args: argparse.Namespace, watched: FleetState, stop: threading.Event) -> bool:
    """A line per message on stdout, the connection on stderr."""
    from edged.commands.fleet_view import message_line  # noqa: PLC0415
    from edged.mqtt.subscribe import subscribe  # noqa: PLC0415

    def on_message(message: IncomingMessage) -> None:
        body = watched.update(message.topic, message.payload)
        if body is not None:
            line = {"topic": message.topic, "message": body}
            print(json.dumps(line, ensure_ascii=False) if args.jsonl else message_line(message.topic, body), flush=True)

    def on_state(state: str) -> None:
        print(f"edged watch: {state}", file=sys.stderr)

    return subscribe(broker, _topic(broker, args), on_message, on_state, stop)


def _live(broker: MqttConfig, args: argparse.Namespace, watched: FleetState, stop: threading.Event) -> bool:
    """A live picture of everything."""
    from edged.commands.fleet_view import live_watch  # noqa: PLC0415
    from edged.mqtt.subscribe import subscribe  # noqa: PLC0415

    states = [f"connecting to {broker.host}:{broker.port}"]

    def on_message(message: IncomingMessage) -> None:
        watched.update(message.topic, message.payload)

    with live_watch(watched, lambda: states[-1]):
        return subscribe(broker, _topic(broker, args), on_message, lambda state: states.__setitem__(0, state), stop)


def _topic(broker: MqttConfig, args: argparse.Namespace) -> str:
    return f"{broker.base}/{args.device}/#"
