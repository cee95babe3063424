"""Bounded, oldest news first, and every message accounted for."""

from __future__ import annotations

import pytest

from edged.messages import topics
from edged.mqtt.send_queue import OutgoingMessage, SendQueue
from edged.units import ns


@pytest.fixture
def outbox() -> SendQueue:
    return SendQueue(size=3)


def news(name: str, at_ns: int = 0) -> OutgoingMessage:
    return OutgoingMessage(topic="poses", payload=name.encode(), spec=topics.POSES, queued_ns=at_ns)


def alert(name: str) -> OutgoingMessage:
    return OutgoingMessage(topic="alert", payload=name.encode(), spec=topics.ALERT)


def state(topic: str, name: str) -> OutgoingMessage:
    return OutgoingMessage(topic=topic, payload=name.encode(), spec=topics.STATUS)


def take_all(outbox: SendQueue, now_ns: int = 0) -> str:
    taken = iter(lambda: outbox.get(now_ns), None)
    return " ".join(letter.payload.decode() for letter in taken if letter)


def test_letters_leave_in_the_order_they_came(outbox: SendQueue) -> None:
    for letter in (news("a"), alert("b"), state("status", "c")):
        outbox.put(letter)
    assert take_all(outbox) == "a b c"


def test_a_full_outbox_drops_the_oldest_news(outbox: SendQueue) -> None:
    for letter in (alert("a"), news("b"), news("c"), news("d")):
        outbox.put(letter)
    assert outbox.counts.dropped == 1
    assert take_all(outbox) == "a c d"


def test_alerts_are_dropped_when_there_is_no_news_to_drop(outbox: SendQueue) -> None:
    for name in "abcd":
        outbox.put(alert(name))
    assert take_all(outbox) == "b c d"


def test_state_is_never_dropped_for_room(outbox: SendQueue) -> None:
    for topic in "abcde":
        outbox.put(state(topic, topic))
    outbox.put(news("n"))
    assert take_all(outbox) == "a b c d e"


def test_newer_state_takes_the_place_of_older(outbox: SendQueue) -> None:
    for letter in (state("cam", "lost"), state("status", "online"), state("cam", "back")):
        outbox.put(letter)
    assert outbox.counts.dropped == 1
    assert take_all(outbox) == "online back"


@pytest.mark.parametrize(("now_ns", "left"), [(ns(5) - 1, "old new alert"), (ns(5), "new alert")])
def test_what_has_expired_is_not_sent(outbox: SendQueue, now_ns: int, left: str) -> None:
    for letter in (news("old"), news("new", at_ns=50), alert("alert")):
        outbox.put(letter)
    assert take_all(outbox, now_ns) == left
    assert outbox.counts.expired == 3 - len(left.split())
    assert outbox.counts.balanced


def test_what_could_not_be_sent_goes_first_next_time(outbox: SendQueue) -> None:
    for name in "abc":
        outbox.put(alert(name))
    taken = [letter for letter in (outbox.get(0), outbox.get(0)) if letter]
    outbox.requeue(taken)
    assert take_all(outbox) == "a b c"


def test_state_that_was_overtaken_on_its_way_is_not_sent_again(outbox: SendQueue) -> None:
    outbox.put(state("cam", "lost"))
    taken = outbox.get(0)
    outbox.put(state("cam", "back"))
    outbox.requeue([taken] if taken else [])
    assert take_all(outbox) == "back"
    outbox.done(state("cam", "back"), published=True)
    assert outbox.counts.balanced


def test_state_is_repeated_once_and_first(outbox: SendQueue) -> None:
    outbox.put(state("a", "1"))
    outbox.put(state("b", "2"))
    take_all(outbox)
    outbox.put(news("n"))
    outbox.put(state("b", "3"))
    outbox.requeue_retained()
    assert take_all(outbox) == "1 n 3"


def test_state_that_went_another_way_is_repeated_until_it_is_overtaken(outbox: SendQueue) -> None:
    outbox.remember_retained(state("a", "1"))
    outbox.requeue_retained()
    assert take_all(outbox) == "1"
    outbox.requeue_retained()
    outbox.supersede("a")
    outbox.requeue_retained()
    assert take_all(outbox) == ""
    assert outbox.counts.dropped == 1


def test_a_closed_outbox_counts_what_comes_as_dropped(outbox: SendQueue) -> None:
    outbox.put(news("a"))
    outbox.close()
    outbox.put(news("b"))
    tally = outbox.counts
    assert (tally.accepted, tally.dropped, tally.waiting) == (2, 2, 0)


def test_the_tally_balances_at_every_step(outbox: SendQueue) -> None:
    for letter in (news("a"), alert("b"), alert("c"), news("d"), state("s", "e")):
        outbox.put(letter)
        assert outbox.counts.balanced
    first, second = outbox.get(0), outbox.get(0)
    assert outbox.counts.balanced
    assert first is not None
    outbox.done(first, published=False)
    outbox.requeue([second] if second else [])
    assert outbox.counts.balanced
    assert outbox.counts.failed == 1
