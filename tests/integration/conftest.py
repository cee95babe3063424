"""A broker inside the test's process, and a client that hears all of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from edged.mqtt.embedded_broker import EmbeddedBroker
from tests.support.mqtt import Listener, MQTTv311


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as broker:
        yield broker


@pytest.fixture
def listener(broker: EmbeddedBroker) -> Iterator[Listener]:
    listener = Listener(broker.port, version=MQTTv311)
    yield listener
    listener.close()
