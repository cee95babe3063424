"""Bounded, oldest news first, and every message accounted for."""

from __future__ import annotations

import pytest

from edged.bus import topics
from edged.bus.outbox import Letter, Outbox
from edged.units import ns


@pytest.fixture
def outbox() -> Outbox:
    return Outbox(size=3)


def news(name: str, at_ns: int = 0) -> Letter:
    return Letter(topic="poses", payload=name.encode(), channel=topics.POSES, posted_ns=at_ns)


def alert(name: str) -> Letter:
    return Letter(topic="alert", payload=name.encode(), channel=topics.ALERT)


def state(topic: str, name: str) -> Letter:
    return Letter(topic=topic, payload=name.encode(), channel=topics.STATUS)


def take_all(outbox: Outbox, now_ns: int = 0) -> str:
    taken = iter(lambda: outbox.take(now_ns), None)
    return " ".join(letter.payload.decode() for letter in taken if letter)


def test_letters_leave_in_the_order_they_came(outbox: Outbox) -> None:
    for letter in (news("a"), alert("b"), state("status", "c")):
        outbox.post(letter)
    assert take_all(outbox) == "a b c"


def test_a_full_outbox_drops_the_oldest_news(outbox: Outbox) -> None:
    for letter in (alert("a"), news("b"), news("c"), news("d")):
        outbox.post(letter)
    assert outbox.tally.dropped == 1
    assert take_all(outbox) == "a c d"


def test_alerts_are_dropped_when_there_is_no_news_to_drop(outbox: Outbox) -> None:
    for name in "abcd":
        outbox.post(alert(name))
    assert take_all(outbox) == "b c d"


def test_state_is_never_dropped_for_room(outbox: Outbox) -> None:
    for topic in "abcde":
        outbox.post(state(topic, topic))
    outbox.post(news("n"))
    assert take_all(outbox) == "a b c d e"


def test_newer_state_takes_the_place_of_older(outbox: Outbox) -> None:
    for letter in (state("cam", "lost"), state("status", "online"), state("cam", "back")):
        outbox.post(letter)
    assert outbox.tally.dropped == 1
    assert take_all(outbox) == "online back"


@pytest.mark.parametrize(("now_ns", "left"), [(ns(5) - 1, "old new alert"), (ns(5), "new alert")])
def test_what_has_expired_is_not_sent(outbox: Outbox, now_ns: int, left: str) -> None:
    for letter in (news("old"), news("new", at_ns=50), alert("alert")):
        outbox.post(letter)
    assert take_all(outbox, now_ns) == left
    assert outbox.tally.expired == 3 - len(left.split())
    assert outbox.tally.balanced


def test_what_could_not_be_sent_goes_first_next_time(outbox: Outbox) -> None:
    for name in "abc":
        outbox.post(alert(name))
    taken = [letter for letter in (outbox.take(0), outbox.take(0)) if letter]
    outbox.bring_back(taken)
    assert take_all(outbox) == "a b c"


def test_state_that_was_overtaken_on_its_way_is_not_sent_again(outbox: Outbox) -> None:
    outbox.post(state("cam", "lost"))
    taken = outbox.take(0)
    outbox.post(state("cam", "back"))
    outbox.bring_back([taken] if taken else [])
    assert take_all(outbox) == "back"
    outbox.settle(state("cam", "back"), published=True)
    assert outbox.tally.balanced


def test_state_is_repeated_once_and_first(outbox: Outbox) -> None:
    outbox.post(state("a", "1"))
    outbox.post(state("b", "2"))
    take_all(outbox)
    outbox.post(news("n"))
    outbox.post(state("b", "3"))
    outbox.repeat_state()
    assert take_all(outbox) == "1 n 3"


def test_state_that_went_another_way_is_repeated_until_it_is_overtaken(outbox: Outbox) -> None:
    outbox.remember(state("a", "1"))
    outbox.repeat_state()
    assert take_all(outbox) == "1"
    outbox.repeat_state()
    outbox.overtaken("a")
    outbox.repeat_state()
    assert take_all(outbox) == ""
    assert outbox.tally.dropped == 1


def test_a_closed_outbox_counts_what_comes_as_dropped(outbox: Outbox) -> None:
    outbox.post(news("a"))
    outbox.close()
    outbox.post(news("b"))
    tally = outbox.tally
    assert (tally.accepted, tally.dropped, tally.waiting) == (2, 2, 0)


def test_the_tally_balances_at_every_step(outbox: Outbox) -> None:
    for letter in (news("a"), alert("b"), alert("c"), news("d"), state("s", "e")):
        outbox.post(letter)
        assert outbox.tally.balanced
    first, second = outbox.take(0), outbox.take(0)
    assert outbox.tally.balanced
    assert first is not None
    outbox.settle(first, published=False)
    outbox.bring_back([second] if second else [])
    assert outbox.tally.balanced
    assert outbox.tally.failed == 1
