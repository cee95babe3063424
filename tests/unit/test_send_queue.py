"""The queue in memory: bounded, and every message counted."""

from __future__ import annotations

import pytest

from edged.messages import topics
from edged.mqtt.send_queue import OutgoingMessage, SendQueue
from edged.units import ns


@pytest.fixture
def queue() -> SendQueue:
    return SendQueue(size=3)


def droppable(name: str, at_ns: int = 0) -> OutgoingMessage:
    return OutgoingMessage(topic="poses", payload=name.encode(), spec=topics.POSES, queued_ns=at_ns)


def alert(name: str) -> OutgoingMessage:
    return OutgoingMessage(topic="alert", payload=name.encode(), spec=topics.ALERT)


def retained(topic: str, name: str) -> OutgoingMessage:
    return OutgoingMessage(topic=topic, payload=name.encode(), spec=topics.STATUS)


def get_all(queue: SendQueue, now_ns: int = 0) -> str:
    messages = iter(lambda: queue.get(now_ns), None)
    return " ".join(message.payload.decode() for message in messages if message)


def test_messages_leave_in_the_order_they_were_put(queue: SendQueue) -> None:
    for message in (droppable("a"), alert("b"), retained("status", "c")):
        queue.put(message)
    assert get_all(queue) == "a b c"


def test_full_queue_drops_the_oldest_droppable_message(queue: SendQueue) -> None:
    for message in (alert("a"), droppable("b"), droppable("c"), droppable("d")):
        queue.put(message)
    assert queue.counts.dropped == 1
    assert get_all(queue) == "a c d"


def test_full_queue_without_droppable_messages_drops_the_oldest_alert(queue: SendQueue) -> None:
    for name in "abcd":
        queue.put(alert(name))
    assert get_all(queue) == "b c d"


def test_retained_message_is_never_dropped_for_room(queue: SendQueue) -> None:
    for topic in "abcde":
        queue.put(retained(topic, topic))
    queue.put(droppable("n"))
    assert get_all(queue) == "a b c d e"


def test_newer_retained_message_replaces_the_older(queue: SendQueue) -> None:
    for message in (retained("cam", "lost"), retained("status", "online"), retained("cam", "back")):
        queue.put(message)
    assert queue.counts.dropped == 1
    assert get_all(queue) == "online back"


@pytest.mark.parametrize(("now_ns", "left"), [(ns(5) - 1, "old new alert"), (ns(5), "new alert")])
def test_expired_message_is_not_sent(queue: SendQueue, now_ns: int, left: str) -> None:
    for message in (droppable("old"), droppable("new", at_ns=50), alert("alert")):
        queue.put(message)
    assert get_all(queue, now_ns) == left
    assert queue.counts.expired == 3 - len(left.split())
    assert queue.counts.balanced


def test_requeued_messages_go_first(queue: SendQueue) -> None:
    for name in "abc":
        queue.put(alert(name))
    messages = [message for message in (queue.get(0), queue.get(0)) if message]
    queue.requeue(messages)
    assert get_all(queue) == "a b c"


def test_requeued_retained_message_is_dropped_if_a_newer_one_waits(queue: SendQueue) -> None:
    queue.put(retained("cam", "lost"))
    message = queue.get(0)
    queue.put(retained("cam", "back"))
    queue.requeue([message] if message else [])
    assert get_all(queue) == "back"
    queue.done(retained("cam", "back"), published=True)
    assert queue.counts.balanced


def test_answer_is_not_sent_again_after_a_reconnect(queue: SendQueue) -> None:
    answer = OutgoingMessage(topic="site/x", payload=b"a", spec=topics.RESULT)
    for message in (answer, alert("b")):
        queue.put(message)
    queue.requeue([message for message in (queue.get(0), queue.get(0)) if message])
    assert get_all(queue) == "b"
    assert queue.counts.failed == 1


def test_requeue_retained_queues_each_topic_once_in_front(queue: SendQueue) -> None:
    queue.put(retained("a", "1"))
    queue.put(retained("b", "2"))
    get_all(queue)
    queue.put(droppable("n"))
    queue.put(retained("b", "3"))
    queue.requeue_retained()
    assert get_all(queue) == "1 n 3"


def test_remembered_message_is_requeued_until_it_is_superseded(queue: SendQueue) -> None:
    queue.remember_retained(retained("a", "1"))
    queue.requeue_retained()
    assert get_all(queue) == "1"
    queue.requeue_retained()
    queue.supersede("a")
    queue.requeue_retained()
    assert get_all(queue) == ""
    assert queue.counts.dropped == 1


def test_closed_queue_drops_new_messages(queue: SendQueue) -> None:
    queue.put(droppable("a"))
    queue.close()
    queue.put(droppable("b"))
    counts = queue.counts
    assert (counts.accepted, counts.dropped, counts.waiting) == (2, 2, 0)


def test_counts_balance_at_every_step(queue: SendQueue) -> None:
    for message in (droppable("a"), alert("b"), alert("c"), droppable("d"), retained("s", "e")):
        queue.put(message)
        assert queue.counts.balanced
    first, second = queue.get(0), queue.get(0)
    assert queue.counts.balanced
    assert first is not None
    queue.done(first, published=False)
    queue.requeue([second] if second else [])
    assert queue.counts.balanced
    assert queue.counts.failed == 1
