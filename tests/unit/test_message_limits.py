"""Which message ended a connection, and what is not sent any more."""

from __future__ import annotations

from edged.messages import topics
from edged.mqtt.message_limits import (
    ENDS_CONNECTION,
    LARGE_OR_NO_RIGHT,
    MAX_CUTS,
    MAX_CUTS_IF_DOUBTFUL,
    TOO_LARGE,
    MessageLimits,
)
from edged.mqtt.send_queue import OutgoingMessage


def message(topic: str, size: int) -> OutgoingMessage:
    return OutgoingMessage(topic=topic, payload=b"x" * (size - len(topic)), spec=topics.ALERT)


SMALL, LARGE = message("small", 200), message("large", 3000)


def test_large_message_alone_under_way_in_two_cuts_is_blocked_with_all_larger_ones() -> None:
    limits = MessageLimits()
    limits.taken(SMALL)
    for _ in range(MAX_CUTS):
        assert not limits.blocks(LARGE)
        assert limits.connection_cut([LARGE])
    assert limits.max_bytes == 3000
    assert limits.blocks(message("other", 3001))
    assert not limits.blocks(message("other", 2999))


def test_cut_with_several_messages_blames_none_and_makes_the_next_connection_careful() -> None:
    limits = MessageLimits()
    for _ in range(10):
        limits.connection_cut([SMALL, LARGE])
    assert limits.careful
    assert not limits.blocks(LARGE)
    limits.read(SMALL)
    limits.read(LARGE)
    assert not limits.careful


def test_second_large_topic_needs_one_cut() -> None:
    limits = MessageLimits()
    for _ in range(MAX_CUTS):
        limits.connection_cut([LARGE])
    limits.connection_cut([message("other", 2000)])
    assert limits.max_bytes == 2000


def test_small_message_is_blocked_by_its_topic_alone() -> None:
    limits = MessageLimits()
    limits.taken(message("other", 250))
    for _ in range(MAX_CUTS):
        limits.connection_cut([SMALL])
    assert limits.blocks(message("small", 10))
    assert not limits.blocks(message("other", 5000))


def test_topic_of_which_smaller_messages_are_taken_is_blocked_by_size() -> None:
    limits = MessageLimits()
    limits.taken(SMALL)
    for _ in range(MAX_CUTS):
        limits.connection_cut([message("small", 500)])
    assert limits.blocks(message("small", 500))
    assert limits.reason(message("small", 500)) == TOO_LARGE
    assert not limits.blocks(message("small", 250))


def test_small_message_may_be_too_large_for_a_broker_that_has_a_limit() -> None:
    limits = MessageLimits()
    limits.taken(message("other", 100))
    for one in (SMALL, SMALL):
        limits.connection_cut([one])
    assert limits.reason(SMALL) == ENDS_CONNECTION
    for one in (LARGE, LARGE):
        limits.connection_cut([one])
    assert limits.reason(SMALL) == LARGE_OR_NO_RIGHT


def test_message_that_was_taken_before_is_blamed_late() -> None:
    limits = MessageLimits()
    limits.taken(SMALL)
    for _ in range(MAX_CUTS_IF_DOUBTFUL - 1):
        assert not limits.connection_cut([SMALL])
    assert not limits.blocks(SMALL)


def test_taken_message_clears_its_topic_of_suspicion() -> None:
    limits = MessageLimits()
    limits.taken(message("other", 100))
    for _ in range(10):
        limits.connection_cut([SMALL])
        limits.taken(SMALL)
    assert not limits.blocks(SMALL)


def test_blocked_message_is_tried_once_after_a_change_of_the_broker() -> None:
    limits = MessageLimits()
    for _ in range(MAX_CUTS):
        limits.connection_cut([LARGE])
    limits.forget()
    assert not limits.blocks(LARGE)
    limits.connection_cut([LARGE])
    assert limits.blocks(LARGE)


def test_message_dropped_in_silence_is_too_large_if_all_smaller_ones_arrive() -> None:
    limits = MessageLimits()
    limits.taken(message("other", 1500))
    limits.dropped(message("no right", 1400))
    assert limits.max_bytes is None
    limits.dropped(LARGE)
    assert limits.max_bytes == 3000
