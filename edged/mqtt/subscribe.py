"""Messages from any broker, for people and scripts that watch: connects, subscribes, and does so again when it must.

Upstream `mqtt_link`; downstream a view. Everything happens in the caller's thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from edged.config.tables.mqtt import MqttConfig
from edged.errors import BrokerLost
from edged.mqtt.connection import IncomingMessage, MqttConnection, ProtocolNegotiator
from edged.runtime.backoff import Backoff

POLL_S = 0.2
RETRY_S = 2.0


def subscribe(
    broker: MqttConfig,
    topic: str,
    on_message: Callable[[IncomingMessage], None],
    on_state: Callable[[str], None],
    stop: threading.Event,
) -> bool:
    """Deliver what is published until `stop`. Returns whether there ever was a connection.

    `on_state` is told in words when the connection comes and why it goes. Raises ConfigError for unusable TLS files.
    """
    versions, backoff, ever = ProtocolNegotiator(broker.protocol), Backoff(RETRY_S), False
    while not stop.is_set():
        link = MqttConnection(broker, versions.current, client_id="", on_message=on_message)
        try:
            link.open()
            versions.confirm()
            backoff.reset()
            ever = True
            on_state(f"connected to {broker.host}:{broker.port} with MQTT {link.version}")
            _receive(link, topic, stop)
        except BrokerLost as lost:
            if not versions.try_next(lost):
                on_state(str(lost))
            stop.wait(backoff.next_s())
        finally:
            link.abandon()
    return ever


def stop_after(seconds: float | None, stop: threading.Event) -> None:
    """Set `stop` when the time is over; None never does."""
    if seconds is not None:
        timer = threading.Timer(seconds, stop.set)
        timer.daemon = True
        timer.start()


def _receive(link: MqttConnection, topic: str, stop: threading.Event) -> None:
    link.subscribe(topic)
    while not stop.is_set():
        link.poll(POLL_S)
    link.close()
