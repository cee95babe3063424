"""The bus on MQTT: one thread that connects, reconnects, and empties the outbox and the store.

Upstream `publish`, from any thread, never blocking; downstream `mqtt_link`. A dead broker costs the loop nothing.
The bus says by itself whether the box is there: online on every connect, stopped on close, offline as its will.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from edged.adapters.keep import Keep, Outcome
from edged.adapters.mqtt_link import Link, Message, Refusal, Refused, Versions, tls_context
from edged.adapters.ring_sqlite import Bounds
from edged.bus import topics
from edged.bus.message import Body, Presence, encode
from edged.bus.outbox import CBOR, JPEG, JSON, Letter, Outbox, Tally
from edged.bus.topics import Topic, matches
from edged.channel import Backoff
from edged.config import Mqtt, Publish
from edged.contract import packed
from edged.errors import BrokerLost, ConfigError
from edged.ports import Request
from edged.units import BYTES_PER_MB, MS_PER_DAY

log = logging.getLogger(__name__)

FLUSH_S = 0.5  # at close, for what waits, and as long again for `stopped`
CLOSE_S = 2.0  # longest wait for the connection at close, both included
LEAVE_S = 0.3  # the same where there is no connection
AWAY_S = 3.0  # longest wait for a broker that is away: looking for it costs one packet, and it is to be found in 5 s
STABLE_S = 30.0  # a connection that lived so long starts the waits small again
BRIEF = 4  # connections in a row that did not live so long: they are being cut off
IDLE_S = 1.0  # between looks at the keep-alive


class CutOff(BrokerLost):
    """Let in, and cut off soon after, again and again."""


class MqttBus:
    """Publishes below `<base>/<device>/`. The device id is the client id too."""

    def __init__(
        self,
        broker: Mqtt,
        device: str,
        presence: Callable[[Presence], Mapping[str, Any]],
        options: Publish,
        keep: Path | None = None,
    ) -> None:
        """`presence` makes a `status` message; `keep` is the file of what must survive, None: it does not.

        Raises ConfigError when the TLS files cannot be used.
        """
        self._packs = options.encoding == "cbor"
        if self._packs:
            packed.available()
        _check(broker)
        self._wanted = broker
        self._turn_to(broker)
        self._device = device
        self._root = f"{broker.base}/{device}/"
        self._presence = presence
        self._outbox = Outbox(options.queue)
        self._link: Link | None = None  # while connected
        self._takers: dict[str, Callable[[Request], None]] = {}  # by whole topic, wildcards and all
        self._connects = 0
        self._brief = 0  # connections in a row that did not last
        self._refused = 0
        self._closing = threading.Event()
        self._stirred = threading.Event()  # out of a wait: closing, or moving
        self._wake, self._woken = socket.socketpair()
        self._wake.setblocking(False)
        bounds = Bounds(size_bytes=options.keep_mb * BYTES_PER_MB, age_ms=round(options.keep_days * MS_PER_DAY))
        self._keep = Keep(keep, bounds, self._letter, self._wake_up)
        self._thread = threading.Thread(target=self._run, name="bus", daemon=True)
        self._thread.start()

    def publish(self, topic: Topic, message: Mapping[str, Any] | bytes, *, correlation: bytes | None = None) -> None:
        if topic.channel.keep is not None and not isinstance(message, bytes):
            self._keep.post(topic, message)
        else:
            self._outbox.post(self._letter(topic, message, correlation))
            self._wake_up()

    def listen(self, topic: Topic, take: Callable[[Request], None]) -> None:
        self._takers[self._whole(topic)] = take
        self._wake_up()

    def move(self, broker: Mqtt) -> None:
        """Take leave, and go on at this broker, or at the same in this way. `base` is to stay as it is. Any thread.

        Raises ConfigError when the TLS files cannot be used; then all is as it was.
        """
        _check(broker)
        self._wanted = broker
        self._stirred.set()
        self._wake_up()

    @property
    def tally(self) -> Tally:
        return self._outbox.tally + self._keep.tally

    @property
    def connected(self) -> bool:
        return self._link is not None

    @property
    def figures(self) -> Body:
        """For `health`."""
        link = self._link
        return {
            "connected": link is not None,
            "protocol": link.version if link else None,
            "reconnects": max(0, self._connects - 1),
            **asdict(self.tally),
            "refused": self._refused,
            "stored": self._keep.figures,
        }

    def close(self) -> None:
        """Send what waits and `stopped`, within a second, and leave."""
        self._closing.set()
        self._stirred.set()
        self._wake_up()
        self._thread.join(CLOSE_S if self.connected else LEAVE_S)
        self._outbox.close()
        self._keep.close()
        if self._thread.is_alive():
            log.warning("broker %s:%d: left behind in the middle of connecting", self._broker.host, self._broker.port)
            return
        self._wake.close()
        self._woken.close()

    def _wake_up(self) -> None:
        with suppress(OSError):  # full of wake-ups already, or closed
            self._wake.send(b"\0")

    def _whole(self, topic: Topic) -> str:
        return topic.path[1:] if topic.path.startswith("/") else self._root + topic.path

    def _letter(self, topic: Topic, message: Mapping[str, Any] | bytes, correlation: bytes | None = None) -> Letter:
        payload, content = self._encoded(topic, message)
        return Letter(
            topic=self._whole(topic),
            payload=payload,
            channel=topic.channel,
            content=content,
            correlation=correlation,
            posted_ns=time.monotonic_ns(),
        )

    def _encoded(self, topic: Topic, message: Mapping[str, Any] | bytes) -> tuple[bytes, str]:
        """A payload and its content type."""
        if isinstance(message, bytes):
            return message, JPEG
        if topic.channel is topics.POSES and self._packs:
            return packed.pack(message), CBOR
        return encode(message), JSON

    def _status(self, state: Presence) -> Letter:
        return self._letter(topics.STATUS.at(), self._presence(state))

    def _run(self) -> None:
        while not self._closing.is_set():
            if self._broker is not self._wanted:
                self._turn_to(self._wanted)
            patience, connects = self._unwelcome, self._connects
            try:
                self._connect_and_serve()
            except (BrokerLost, ConfigError) as lost:
                patience = self._lost(lost, was_connected=self._connects > connects)
            except Exception:  # this thread's outermost supervisor: the daemon outlives its bus
                log.exception("broker %s:%d: the bus has a bug", self._broker.host, self._broker.port)
            if self._stirred.wait(patience.next_s()):
                self._stirred.clear()

    def _turn_to(self, broker: Mqtt) -> None:
        """Nothing is known of this broker yet."""
        self._broker = broker
        self._versions = Versions(broker.protocol)
        self._away = Backoff(min(AWAY_S, broker.reconnect_max_s))
        self._unwelcome = Backoff(broker.reconnect_max_s)
        self._complaint: type[Exception] | None = None  # logged, and not yet over
        self._forbidden: set[str] = set()  # topics refused, and logged

    def _connect_and_serve(self) -> None:
        link = Link(
            self._broker,
            self._versions.current,
            client_id=self._device,
            will=self._status("offline"),
            on_settled=self._settle,
            on_message=self._received,
            on_deaf=self._forbid,
        )
        try:
            link.open()
            self._arrive(link)
            self._serve(link)
            self._leave(link)
        finally:
            self._link = None
            self._keep.disconnected()
            self._outbox.bring_back(letter for letter in link.unsettled if letter.receipt is None)
            link.abandon()

    def _arrive(self, link: Link) -> None:
        self._connects += 1
        self._brief += 1
        self._versions.worked()
        if self._complaint is not CutOff:
            self._return(link.version)
        self._outbox.repeat_state()
        self._outbox.post(self._status("online"))
        self._keep.connected()
        if self._brief < BRIEF:
            self._away.reset()
        self._link = link

    def _return(self, version: str) -> None:
        again = "again " if self._complaint and self._connects > 1 else ""
        self._complaint = None
        log.info("broker %s:%d: connected %swith MQTT %s", self._broker.host, self._broker.port, again, version)

    def _serve(self, link: Link) -> None:
        since_s = time.monotonic()
        while not self._closing.is_set() and self._broker is self._wanted:
            self._subscribe(link)
            self._send_waiting(link)
            link.turn(IDLE_S, self._woken)
            if time.monotonic() - since_s > STABLE_S:
                self._unwelcome.reset()
                self._away.reset()
                self._brief = 0
                if self._complaint is CutOff:
                    self._return(link.version)

    def _leave(self, link: Link) -> None:
        self._flush(link)
        self._outbox.post(self._status("stopped"))
        self._flush(link)
        link.close()

    def _flush(self, link: Link) -> None:
        end_s = time.monotonic() + FLUSH_S
        while (self._outbox.tally.waiting or not self._keep.idle) and time.monotonic() < end_s:
            self._send_waiting(link)
            link.turn(0.02, self._woken)

    def _send_waiting(self, link: Link) -> None:
        while link.ready and (letter := self._next()) is not None:
            link.send(letter)

    def _next(self) -> Letter | None:
        """What must survive goes first: it is paced, so that the rest gets its turn."""
        kept = self._keep.take()
        if kept is not None and kept.channel.retain:
            self._outbox.overtaken(kept.topic)
        return kept or self._outbox.take(time.monotonic_ns())

    def _subscribe(self, link: Link) -> None:
        for topic in self._takers.keys() - link.topics:
            link.subscribe(topic)

    def _received(self, message: Message) -> None:
        for topic, take in list(self._takers.items()):
            if matches(topic, message.topic):
                self._hand_over(message, take)

    def _hand_over(self, message: Message, take: Callable[[Request], None]) -> None:
        path = message.topic.removeprefix(self._root)
        request = Request(
            path=path if path != message.topic else f"/{path}",
            payload=message.payload,
            retain=message.retain,
            response_topic=message.response_topic,
            correlation=message.correlation,
            content=message.content,
        )
        try:
            take(request)
        except Exception:  # a listener's bug is not the connection's end
            log.exception("broker: a message on %s could not be taken", message.topic)

    def _settle(self, letter: Letter, refusal: Refusal | None) -> None:
        if refusal is not None:
            self._forbid(letter.topic, refusal)
        if letter.receipt is None:
            self._outbox.settle(letter, published=refusal is None)
            return
        outcome: Outcome = "published" if refusal is None else "failed" if refusal.for_good else "refused"
        self._keep.settle(letter.receipt, outcome)
        if outcome == "published" and letter.channel.retain:
            self._outbox.remember(replace(letter, receipt=None))

    def _forbid(self, topic: str, refusal: Refusal) -> None:
        """Count every refusal, say each topic once."""
        self._refused += 1
        if topic not in self._forbidden:
            self._forbidden.add(topic)
            hint = f"; give {self._user} the right to {self._root}#" if refusal.reason == "Not authorized" else ""
            log.warning("broker: %s was refused: %s%s", topic, refusal.reason, hint)

    def _lost(self, lost: Exception, *, was_connected: bool) -> Backoff:
        """Say so where that is new; return the waits that suit the reason.

        Of two clients of one id a broker keeps the newer, and hardly any tells the other.
        """
        if was_connected and self._brief >= BRIEF:
            why = f"the network is bad, or another box has device.id {self._device} too"
            lost = CutOff(f"{lost}, soon after it let us in, for the {BRIEF}th time in a row: {why}")
        self._complain(lost)
        return self._unwelcome if isinstance(lost, Refused | ConfigError) else self._away

    def _complain(self, lost: Exception) -> None:
        """Log once per kind of loss until it is over; try the other MQTT version first where that may be the reason."""
        if self._versions.blame(lost):
            log.debug("%s; trying MQTT %s", lost, self._versions.current)
            return
        if self._complaint is not type(lost):
            self._complaint = type(lost)
            log.warning("%s; publishing waits, everything else goes on", lost)

    @property
    def _user(self) -> str:
        return f"user {self._broker.username}" if self._broker.username else f"client {self._device}"


def _check(broker: Mqtt) -> None:
    """Raises ConfigError when the TLS files cannot be used; warns of a password that all may read."""
    if broker.tls.enabled:
        tls_context(broker.tls)
    elif broker.username and not _is_here(broker.host):
        log.warning("mqtt.username and its password go to %s for all to read; enable mqtt.tls", broker.host)


def _is_here(host: str) -> bool:
    """Whether nothing leaves this box on the way to this host."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
