"""`edged rollout`: a version and settings for a group, signed, and published in stages; it stops by itself."""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from edged.commands import broker_args
from edged.commands.argument_types import percent, seconds
from edged.config.layers import bytes_layer, read_bytes
from edged.config.load import load
from edged.config.tables.mqtt import MqttConfig
from edged.config.tree import Config
from edged.config.types import NAME
from edged.errors import BrokerLost, ConfigError, NotTrusted
from edged.foreign_text import foreign_json, printable
from edged.messages.topics import DESIRED, HEALTH, REPORTED, STATUS, desired_topic
from edged.mqtt.connection import MqttConnection, Refusal
from edged.mqtt.incoming import IncomingMessage
from edged.mqtt.negotiation import Negotiator
from edged.mqtt.nodes import Nodes
from edged.mqtt.send_queue import OutgoingMessage
from edged.provisioning.desired import VERSION, Desired, number_of, seal
from edged.provisioning.fleet_check import check_fleet_settings
from edged.provisioning.rollout import Group, StageVerdict
from edged.units import plural

KINDS = {spec.path: spec.name for spec in (STATUS, REPORTED, HEALTH)}
RETAINED_S = 3.0  # after the last message that the broker had retained
MAX_RETAINED_S = 120.0  # for all of them
LOST_S = 60.0  # without a node that answers, after which a roll-out ends
MAX_AHEAD = 10_000  # numbers of devices above the retained one: a device that lies uses up no more
POLL_S = 0.1
MAX_SHOWN = 20  # devices with a problem

Say = Callable[[str], None]


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("group", help="as in fleet.group of the devices")
    parser.add_argument("--key", type=Path, required=True, help="the site's key, which signs")
    parser.add_argument("--version", help="version that is wanted, as dpkg has it (default: any)")
    parser.add_argument("--configuration", type=Path, metavar="FILE", help="settings that are wanted (default: none)")
    parser.add_argument("--stages", default="1,10,100", help="percent of the devices, one stage after the other")
    parser.add_argument("--stop-at", type=percent, default=5, metavar="PERCENT", help="more with a problem stop it (5)")
    parser.add_argument("--wait", type=seconds, default=1800, metavar="SECONDS", help="longest time of a stage (1800)")
    parser.add_argument(
        "--watch", type=seconds, default=120, metavar="SECONDS", help="how long each stage is watched when done (120)"
    )
    broker_args.arguments(parser)


def run(args: argparse.Namespace) -> int:
    """0: all stages are done; 1: stopped, and no further device follows."""
    settings = load(args.config) if args.config or args.host is None else Config()
    broker = broker_args.broker_config(args, settings.mqtt)
    stages, wanted = _stages(args.stages), _wanted(args, settings.models.catalogue)
    with _publishing(broker, args.group) as site:
        rollout = Rollout(site, wanted, args.key, stop_at=args.stop_at, wait_s=args.wait, watch_s=args.watch)
        return 0 if rollout.run(stages, partial(print, flush=True)) else 1


def _wanted(args: argparse.Namespace, catalogue: Path | None) -> Desired:
    """What is wanted of all, checked as far as it can be here. Raises ConfigError."""
    if not re.fullmatch(NAME, args.group):
        raise ConfigError(f"GROUP {args.group!a}: want 1 to 63 of a-z 0-9 _ -, a letter or digit first")
    if args.version is not None and not re.fullmatch(VERSION, args.version):
        raise ConfigError(f"--version {args.version!a}: want one as dpkg has it, such as 1.2.0")
    text = b"" if args.configuration is None else read_bytes(args.configuration)
    check_fleet_settings(bytes_layer(str(args.configuration), text), catalogue)
    try:
        return Desired(group=args.group, number=1, version=args.version, configuration=text.decode())
    except ValueError as exc:
        raise ConfigError(f"{args.configuration}: larger than a fleet's settings may be (32 kB); shorten it") from exc


def _stages(text: str) -> list[float]:
    try:
        stages = [float(part) for part in text.split(",")]
    except ValueError:
        stages = []
    if not stages or stages != sorted(set(stages)) or not 0 < stages[0] <= stages[-1] <= 100:
        raise ConfigError(f"--stages {text}: want growing percentages, such as 1,10,100")
    return stages


class BrokerView:
    """The broker, as a roll-out sees it: what devices say, and where the message goes. Connects again when it must."""

    def __init__(self, broker: MqttConfig, group: str) -> None:
        self.group = Group(group)
        self.retained_number = 0  # the highest that somebody else has published
        self._published: set[bytes] = set()
        self._broker = broker
        self._topic = desired_topic(broker.base_topic, group).path[1:]
        self._versions, self._nodes = Negotiator(broker.protocol), Nodes(broker)
        self._connection: MqttConnection | None = None
        self._taken = False
        self._refusal: Refusal | None = None
        self._granted = 0  # subscriptions of this connection
        self._retained_s = 0.0  # when the last retained message came, CLOCK_MONOTONIC
        self._lost_s: float | None = None  # since when no node answers, CLOCK_MONOTONIC

    def open(self) -> None:
        """Connect and subscribe, at the first node that answers. Raises BrokerLost when none does."""
        for left in reversed(range(len(self._broker.nodes))):
            try:
                self._connect()
            except BrokerLost:
                self.close()
                self._nodes.advance()
                if not left:
                    raise
            else:
                return

    def _connect(self) -> None:
        """Raises BrokerLost."""
        self._granted = 0
        while self._connection is None:
            connection = MqttConnection(
                self._nodes.current,
                self._versions.current,
                client_id="",
                on_message=self._on_message,
                on_result=self._on_result,
                on_subscribed=self._on_subscribed,
            )
            try:
                connection.open()
            except BrokerLost as error:
                connection.abandon()
                if not self._versions.try_next(error):
                    raise
            else:
                self._versions.confirm()
                self._connection = connection
        for topic in (self._topic, *(f"{self._broker.base_topic}/+/{path}" for path in KINDS)):
            self._connection.subscribe(topic, as_published=False)

    def read_retained(self) -> None:
        """Receive what the broker retains of all devices. Raises BrokerLost."""
        self._retained_s, end_s = time.monotonic(), time.monotonic() + MAX_RETAINED_S
        while self._granted <= len(KINDS) or time.monotonic() - self._retained_s < RETAINED_S:
            if time.monotonic() > end_s:
                raise BrokerLost(
                    f"{self._broker.base_topic}/+/…: not all of it arrived within {MAX_RETAINED_S:g} s; try again"
                )
            self.poll(POLL_S)

    def poll(self, seconds: float) -> None:
        """Receive for so long; connects again when it must. Raises BrokerLost when no node answers for `LOST_S`."""
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0:
            try:
                if self._connection is None:
                    self.open()
                else:
                    self._connection.poll(min(left_s, POLL_S))
                self._lost_s = None
            except BrokerLost:
                self.close()
                self._lost_s = self._lost_s or time.monotonic()
                if time.monotonic() - self._lost_s > LOST_S:
                    raise
                time.sleep(POLL_S)

    def publish(self, message: bytes) -> None:
        """Publish what is wanted, and wait until the broker has it. Raises BrokerLost."""
        self._taken, self._refusal = False, None
        self._published.add(message)
        end_s = time.monotonic() + self._broker.keepalive_s
        sent_by: MqttConnection | None = None
        while not self._taken:
            if self._refusal is not None or time.monotonic() > end_s:
                raise BrokerLost(f"{self._topic}: not taken: {self._refusal or 'no answer'}; who may write there?")
            if self._connection is not None and sent_by is not self._connection:
                sent_by = self._connection
                sent_by.send(OutgoingMessage(topic=self._topic, payload=message, spec=DESIRED))
            self.poll(POLL_S)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.abandon()
            self._connection = None

    def _on_result(self, message: OutgoingMessage, refusal: Refusal | None) -> None:
        self._taken, self._refusal = refusal is None, refusal

    def _on_subscribed(self, topic: str, refusal: Refusal | None) -> None:
        if refusal is not None:
            raise NotTrusted(f"{topic}: may not be read: {refusal.reason}; log in as who reads all devices")
        self._granted += 1
        self._retained_s = time.monotonic()

    def _on_message(self, message: IncomingMessage) -> None:
        self._retained_s = time.monotonic() if message.retain else self._retained_s
        if message.topic == self._topic:
            if message.payload not in self._published:
                self.retained_number = max(self.retained_number, number_of(message.payload))
            return
        device, _, path = message.topic.removeprefix(f"{self._broker.base_topic}/").partition("/")
        body = foreign_json(message.payload)
        if path in KINDS and re.fullmatch(NAME, device) and isinstance(body, dict):
            self.group.update(device, KINDS[path], body)


@contextmanager
def _publishing(broker: MqttConfig, group: str) -> Iterator[BrokerView]:
    site = BrokerView(broker, group)
    try:
        site.open()
        yield site
    finally:
        site.close()


class Rollout:
    """One roll-out: stages of the same wishes for a growing share of the devices."""

    def __init__(
        self, site: BrokerView, wanted: Desired, key: Path, *, stop_at: float, wait_s: float, watch_s: float
    ) -> None:
        """`stop_at`: percent of the devices of a stage; `watch_s`: for problems to show once a stage is done."""
        self._site = site
        self._wanted = wanted
        self._key = key
        self._stop_at = stop_at
        self._wait_s = wait_s
        self._watch_s = watch_s
        self._number = 0

    def run(self, stages: list[float], say: Say) -> bool:
        """Whether all stages were done; else the last message, for a share of nobody, has stopped it.

        Raises `NotTrusted` when no device of the group is online, the key cannot sign, or somebody else publishes for
        the group meanwhile; BrokerLost.
        """
        self._site.read_retained()
        asked = self._site.group.begin()
        if not asked:
            raise NotTrusted(f"no device of the group {self._wanted.group} is online: nobody would tell of a problem")
        retained = self._site.retained_number
        self._number = max(retained, min(self._site.group.last_number, retained + MAX_AHEAD))
        say(f"{len(asked)} devices of the group {self._wanted.group} are online; messages from {self._number + 1} on")
        settings = (
            plural(len(self._wanted.configuration.splitlines()), "line") if self._wanted.configuration else "none"
        )
        say(f"wanted: version {self._wanted.version or 'any'}; settings of the fleet: {settings}")
        for share in stages:
            desired = self._publish(share)
            verdict = self._watch_stage(desired, asked)
            say(f"{share:g} %: {len(verdict.done)} of {len(verdict.concerned)} done, {len(verdict.problems)} problems")
            for name, reason in sorted(verdict.problems.items())[:MAX_SHOWN]:
                say(f"  {name}: {printable(reason)}")
            if verdict.exceeds(self._stop_at):
                self._publish(0)
                say(f"stopped: more than {self._stop_at:g} % have a problem; no further device follows")
                return False
        return True

    def _check_alone(self) -> None:
        """Raises `NotTrusted` when somebody else has published since: devices may follow that."""
        if (other := self._site.retained_number) >= self._number:
            raise NotTrusted(
                f"somebody else has published message {other} for the group {self._wanted.group}, and this roll-out "
                f"{self._number}: devices may follow the other one; let that end, then start this one again",
                "other-rollout",
            )

    def _publish(self, share: float) -> Desired:
        self._number += 1
        desired = self._wanted.model_copy(update={"number": self._number, "share_percent": share})
        self._site.publish(seal(desired, self._key))
        return desired

    def _watch_stage(self, desired: Desired, asked: frozenset[str]) -> StageVerdict:
        """The verdict once all concerned have answered and were watched, too many have a problem, or time is up."""
        end_s = time.monotonic() + self._wait_s
        settled_s: float | None = None
        while True:
            self._site.poll(POLL_S)
            self._check_alone()
            verdict = self._site.group.verdict(desired, asked, late=time.monotonic() > end_s)
            if verdict.exceeds(self._stop_at) or not verdict.concerned:
                return verdict
            if verdict.waiting:
                settled_s = None
                continue
            settled_s = settled_s or time.monotonic()
            if time.monotonic() - settled_s >= self._watch_s:
                return verdict
