"""What a broker is asked for: all of it, and less only where it has shown that it must."""

from __future__ import annotations

import pytest

from edged.errors import BrokerLost
from edged.mqtt.negotiation import (
    FULL,
    GREETINGS,
    QOS_REFUSED,
    RETAIN_REFUSED,
    Greeting,
    GreetingDoubted,
    GreetingRefused,
    Negotiator,
    NoConnack,
)

HUNG_UP = NoConnack(closed=True)


def connect(negotiator: Negotiator, able: Greeting | None, most: int = 20) -> int:
    """Attempts until connected with a broker that hangs up on what is more than this; None: on everybody."""
    for attempt in range(1, most + 1):
        greeting = negotiator.greeting
        try:
            if able is None or (greeting.retain and not able.retain) or greeting.max_qos > able.max_qos:
                raise HUNG_UP
            negotiator.confirm()
        except BrokerLost as error:
            negotiator.lower_greeting(error)
            continue
        return attempt
    return 0


@pytest.mark.parametrize("able", GREETINGS)
def test_greeting_is_the_most_that_a_silent_broker_can_do(able: Greeting) -> None:
    negotiator = Negotiator("3.1.1")
    assert connect(negotiator, able)
    assert negotiator.greeting == able


def test_broker_that_was_starting_is_asked_for_all_of_it() -> None:
    negotiator = Negotiator("3.1.1")
    for _ in range(2):
        negotiator.lower_greeting(HUNG_UP)
    assert negotiator.greeting != FULL
    assert connect(negotiator, FULL)
    assert negotiator.greeting == FULL


@pytest.mark.parametrize("able", GREETINGS)
def test_broker_behind_a_proxy_that_hung_up_for_long_is_found(able: Greeting) -> None:
    negotiator = Negotiator("3.1.1")
    assert not connect(negotiator, None, 101)
    assert connect(negotiator, able)
    assert negotiator.greeting == able


def test_all_greetings_are_tried_at_once_only_the_first_time() -> None:
    negotiator = Negotiator("3.1.1")
    at_once = [negotiator.lower_greeting(HUNG_UP) for _ in range(12)]
    assert at_once == [True, True, True] + 9 * [False]


def test_broker_of_mqtt_5_is_believed() -> None:
    negotiator = Negotiator("5")
    for reason in (RETAIN_REFUSED, QOS_REFUSED):
        assert negotiator.lower_greeting(GreetingRefused("", reason))
    assert negotiator.greeting == Greeting(retain=False, max_qos=0)
    assert not negotiator.lower_greeting(GreetingRefused("", QOS_REFUSED))
    negotiator.confirm()


def test_connection_that_ended_is_followed_by_the_full_greeting() -> None:
    negotiator = Negotiator("3.1.1")
    connect(negotiator, Greeting(retain=False))
    negotiator.disconnected()
    assert negotiator.greeting == FULL


def test_doubted_greeting_is_not_confirmed() -> None:
    negotiator = Negotiator("3.1.1")
    negotiator.lower_greeting(HUNG_UP)
    with pytest.raises(GreetingDoubted):
        negotiator.confirm()
    assert not negotiator.worked
