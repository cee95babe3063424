"""One connection, and which MQTT version to try next."""

from __future__ import annotations

import signal

import pytest

from edged import topics
from edged.adapters.mqtt_link import Link, RefusedVersion, Unheard, Versions
from edged.adapters.mqtt_v5 import UNACKNOWLEDGED
from edged.config import Mqtt
from edged.errors import BrokerLost
from edged.outbox import Letter
from tests.system.conftest import Mosquitto


def test_what_a_frozen_broker_does_not_acknowledge_stays_with_us(mosquitto: Mosquitto) -> None:
    link = Link(Mqtt(port=mosquitto.port), "5", client_id="box")
    link.open()
    assert mosquitto.process is not None
    mosquitto.process.send_signal(signal.SIGSTOP)
    sent = 0
    while link.ready and sent < 10 * UNACKNOWLEDGED:
        link.send(Letter(topic="alert", payload=b"{}", channel=topics.ALERT))
        sent += 1
    link.abandon()
    assert sent == len(link.unsettled) == UNACKNOWLEDGED


def test_version_5_is_tried_first_and_the_other_when_it_is_not_understood() -> None:
    versions = Versions("auto")
    assert versions.current == "5"
    assert versions.blame(RefusedVersion())
    assert versions.current == "3.1.1"


def test_a_broker_that_answers_neither_version_is_to_blame_itself() -> None:
    versions = Versions("auto")
    assert [versions.blame(Unheard()) for _ in range(4)] == [True, False, False, False]


def test_a_version_that_once_worked_is_not_given_up_for_silence() -> None:
    versions = Versions("auto")
    versions.worked()
    assert not versions.blame(Unheard())
    assert versions.current == "5"


def test_a_broker_replaced_by_one_of_another_version_is_followed() -> None:
    versions = Versions("auto")
    versions.worked()
    assert versions.blame(RefusedVersion())
    assert versions.current == "3.1.1"


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_version_that_is_configured_is_kept(protocol: str) -> None:
    versions = Versions(protocol)
    assert not versions.blame(RefusedVersion())
    assert versions.current == protocol


def test_an_unreachable_broker_is_not_a_matter_of_versions() -> None:
    versions = Versions("auto")
    assert not versions.blame(BrokerLost())
    assert versions.current == "5"
