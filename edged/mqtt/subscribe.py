"""Messages from a broker, for views and scripts: connects, subscribes, and connects again when it must.

Downstream: `connection`. Everything happens in the caller's thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from edged.config.tables.mqtt import MqttConfig
from edged.errors import BrokerLost
from edged.mqtt.connection import MqttConnection
from edged.mqtt.incoming import IncomingMessage
from edged.mqtt.negotiation import Negotiator
from edged.mqtt.nodes import Nodes

POLL_S = 0.2  # longest wait for a message, before `stop` is looked at again
RETRY_S = 2.0  # longest wait between two attempts at one node


def subscribe(
    broker: MqttConfig,
    topic: str,
    on_message: Callable[[IncomingMessage], None],
    on_state: Callable[[str], None],
    stop: threading.Event,
) -> bool:
    """Whether there ever was a connection; returns once `stop` is set.

    `on_state` is called with a sentence when the connection comes, and when it goes. Raises ConfigError for TLS files
    that cannot be used.
    """
    versions, nodes, connected = Negotiator(broker.protocol), Nodes(broker), False
    backoff = nodes.backoff(RETRY_S)
    while not stop.is_set():
        connection = MqttConnection(nodes.current, versions.current, client_id="", on_message=on_message)
        try:
            connection.open()
            versions.confirm()
            backoff.reset()
            connected = True
            on_state(f"connected to {nodes.current.place} with MQTT {connection.version}")
            _receive(connection, topic, stop)
        except BrokerLost as error:
            if versions.try_next(error):
                continue  # at once, with the other version
            nodes.advance()
            on_state(str(error))
            stop.wait(backoff.next_s())
        finally:
            connection.abandon()
    return connected


def stop_after(seconds: float | None, stop: threading.Event) -> None:
    """Set `stop` after this time; None: never."""
    if seconds is not None:
        timer = threading.Timer(seconds, stop.set)
        timer.daemon = True
        timer.start()


def _receive(connection: MqttConnection, topic: str, stop: threading.Event) -> None:
    connection.subscribe(topic)
    while not stop.is_set():
        connection.poll(POLL_S)
    connection.close()
