"""`edged watch`: poses, states, alerts and health of every device on a broker, live."""

from __future__ import annotations

import argparse
import sys
import threading
import time

from edged.commands import broker_args
from edged.commands.argument_types import seconds
from edged.commands.fleet_view import live_watch, message_line
from edged.config.load import load
from edged.config.tables.mqtt import MqttConfig
from edged.foreign_text import printable_json
from edged.mqtt.fleet_state import FleetState
from edged.mqtt.incoming import IncomingMessage
from edged.mqtt.subscribe import stop_after, subscribe


def arguments(parser: argparse.ArgumentParser) -> None:
    broker_args.arguments(parser)
    parser.add_argument("--device", default="+", help="only this device")
    parser.add_argument("--points", action="store_true", help="show boxes and the best keypoints, in pixels")
    parser.add_argument("--jsonl", action="store_true", help="print every message as one line of JSON")
    parser.add_argument("--for", dest="seconds", type=seconds, metavar="SECONDS", help="stop after this time")


def run(args: argparse.Namespace) -> int:
    """0: the broker was reached; 1: it was not."""
    broker = broker_args.broker_config(args, load(args.config).mqtt if args.config else MqttConfig())
    stop = threading.Event()
    fleet = FleetState(broker.base_topic, time.monotonic_ns)
    follow = _print if args.jsonl or not sys.stdout.isatty() else _live
    stop_after(args.seconds, stop)
    try:
        return 0 if follow(broker, args, fleet, stop) else 1
    except KeyboardInterrupt:
        return 0


def _print(broker: MqttConfig, args: argparse.Namespace, fleet: FleetState, stop: threading.Event) -> bool:
    """A line per message on stdout, the connection on stderr."""

    def on_message(message: IncomingMessage) -> None:
        body = fleet.update(message.topic, message.payload)
        if body is not None:
            line = {"topic": message.topic, "message": body}
            text = message_line(message.topic, body, points=args.points)
            print(printable_json(line) if args.jsonl else text, flush=True)

    told = ""

    def on_state(state: str) -> None:
        nonlocal told
        if state != told:  # a broker that is away is tried again every second
            print(f"edged watch: {state}", file=sys.stderr)
        told = state

    return subscribe(broker, _topic(broker, args), on_message, on_state, stop)


def _live(broker: MqttConfig, args: argparse.Namespace, fleet: FleetState, stop: threading.Event) -> bool:
    """A table that updates itself."""
    connection = f"connecting to {broker.place}"

    def on_message(message: IncomingMessage) -> None:
        fleet.update(message.topic, message.payload)

    def on_state(state: str) -> None:
        nonlocal connection
        connection = state

    with live_watch(fleet, lambda: connection, points=args.points):
        return subscribe(broker, _topic(broker, args), on_message, on_state, stop)


def _topic(broker: MqttConfig, args: argparse.Namespace) -> str:
    return f"{broker.base_topic}/{args.device}/#"
