"""The persistent queue: on disk first, in order, bounded, counted, and on every kind of bad disk."""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edged.messages import topics
from edged.messages.topics import Topic
from edged.mqtt.persistent_queue import MAX_IN_FLIGHT, PersistentQueue
from edged.mqtt.send_queue import DeliveryCounts, OutgoingMessage
from edged.mqtt.sqlite_queue import QueueLimits, QueueRow, SqliteQueue
from tests.support.waiting import until

ALERT, STATE = topics.ALERT.at(camera="a"), topics.STATE.at(camera="a")
ROOMY = QueueLimits(max_bytes=1_000_000, max_age_ms=86_400_000)

NewQueue = Callable[..., PersistentQueue]


def make_message(topic: Topic, body: Any) -> OutgoingMessage:
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    return OutgoingMessage(topic=topic.path, payload=payload, spec=topic.spec)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def message(number: int, **more: Any) -> dict[str, Any]:
    return {"n": number, "ts": now_ms(), "time_synced": True, "id": f"id-{number}", **more}


def row(number: int, *, age_ms: int = 0, clock_synced: bool = True, priority: int = 1, size: int = 0) -> QueueRow:
    body = json.dumps({"n": number, "filler": "x" * size}).encode()
    at_ms = now_ms() - age_ms
    return QueueRow(
        path="cam/a/alert",
        spec_name="alert",
        priority=priority,
        timestamp_ms=at_ms,
        clock_synced=clock_synced,
        body=body,
    )


def numbers(store: SqliteQueue) -> list[int]:
    return [json.loads(row.body)["n"] for row in store.read_all()]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


@pytest.fixture
def new_queue() -> Iterator[NewQueue]:
    queues: list[PersistentQueue] = []

    def start(path: Path | None, limits: QueueLimits = ROOMY, *, online: bool = False) -> PersistentQueue:
        queues.append(PersistentQueue(path, limits, make_message, lambda: None))
        if online:
            queues[-1].connected()
        return queues[-1]

    yield start
    for queue in queues:
        queue.close()


def taken(queue: PersistentQueue) -> OutgoingMessage:
    """The next message, acknowledged."""
    got: OutgoingMessage = until(queue.get)
    assert got.store_id is not None
    queue.done(got.store_id, "published")
    return got


def deliver(queue: PersistentQueue, count: int) -> list[tuple[int, bool]]:
    """Send messages and acknowledge them: their numbers, and whether each says `stored`."""
    delivered = []
    for _ in range(count):
        body = json.loads(taken(queue).payload)
        delivered.append((body["n"], body.get("stored", False)))
    return delivered


def power_cut_copy(file: Path) -> Path:
    """A copy of the files as they are this instant."""
    copy = Path(tempfile.mkdtemp(dir=file.parent))
    for part in file.parent.glob("outbox.db*"):
        shutil.copy(part, copy)
    return copy / file.name


def on_disk(file: Path) -> list[int]:
    store = SqliteQueue(power_cut_copy(file), ROOMY)
    found = numbers(store)
    store.close()
    return found


def test_message_is_on_disk_from_before_it_is_sent_until_it_is_acknowledged(file: Path, new_queue: NewQueue) -> None:
    queue = new_queue(file, online=True)
    queue.put(ALERT, message(1))
    got = until(queue.get)
    assert on_disk(file) == [1]
    queue.done(got.store_id, "published")
    until(lambda: on_disk(file) == [])


def test_messages_put_while_connected_are_sent_in_order_and_not_marked_stored(file: Path, new_queue: NewQueue) -> None:
    queue = new_queue(file, online=True)
    for number in range(3 * MAX_IN_FLIGHT):
        queue.put(ALERT, message(number))
    assert deliver(queue, 3 * MAX_IN_FLIGHT) == [(number, False) for number in range(3 * MAX_IN_FLIGHT)]
    assert queue.counts.published == 3 * MAX_IN_FLIGHT
    assert queue.counts.balanced


def test_messages_of_an_earlier_run_are_sent_first_and_marked_stored(file: Path, new_queue: NewQueue) -> None:
    first = new_queue(file)
    for number in range(2 * MAX_IN_FLIGHT):
        first.put(ALERT, message(number))
    first.close()
    second = new_queue(file, online=True)
    second.put(ALERT, message(99))
    assert deliver(second, 2 * MAX_IN_FLIGHT + 1) == [
        *((number, True) for number in range(2 * MAX_IN_FLIGHT)),
        (99, False),
    ]
    until(lambda: second.idle)
    assert second.counts.waiting == 0
    assert second.counts.balanced


def test_stored_message_says_whether_a_later_one_of_its_topic_and_alert_waits(file: Path, new_queue: NewQueue) -> None:
    queue = new_queue(file)
    stages = [("one", "open"), ("two", "open"), ("one", "closed")]
    for number, (alert_id, stage) in enumerate(stages):
        queue.put(ALERT, message(number, alert_id=alert_id, stage=stage))
    for number in (3, 4):
        queue.put(STATE, message(number))
    queue.put(topics.STATE.at(camera="b"), message(5))
    until(lambda: queue.stats["unwritten"] == 0)
    queue.connected()
    bodies = [json.loads(taken(queue).payload) for _ in range(6)]
    assert [body["n"] for body in bodies if body.get("superseded")] == [0, 3]
    queue.put(STATE, message(6))
    assert "superseded" not in json.loads(taken(queue).payload)


def test_message_in_flight_when_the_connection_ends_is_sent_again(file: Path, new_queue: NewQueue) -> None:
    queue = new_queue(file, online=True)
    for number in range(3):
        queue.put(ALERT, message(number))
    taken = [until(queue.get) for _ in range(3)]
    queue.done(taken[0].store_id, "published")
    queue.disconnected()
    queue.done(taken[1].store_id, "published")  # too late: that connection is over
    queue.connected()
    assert deliver(queue, 2) == [(1, True), (2, True)]


def test_get_without_a_connection_returns_none(file: Path, new_queue: NewQueue) -> None:
    queue = new_queue(file)
    queue.put(ALERT, message(1))
    until(lambda: queue.stats["unwritten"] == 0)
    assert queue.get() is None
    assert queue.idle


def test_refused_message_is_sent_again_and_a_failed_one_is_not(file: Path, new_queue: NewQueue) -> None:
    queue = new_queue(file, online=True)
    for number in range(2):
        queue.put(ALERT, message(number))
    queue.done(until(queue.get).store_id, "refused")
    queue.done(until(queue.get).store_id, "failed")
    until(lambda: on_disk(file) == [0])
    assert (queue.counts.failed, queue.counts.waiting) == (1, 1)
    queue.disconnected()
    queue.connected()
    assert deliver(queue, 1) == [(0, True)]


def test_full_queue_drops_the_lowest_priority_oldest_first(file: Path) -> None:
    store = SqliteQueue(file, QueueLimits(max_bytes=4 * 1100, max_age_ms=1000))
    rows = [row(number, priority=number % 2, size=900) for number in range(8)]
    dropped = store.commit(rows, ()).dropped
    assert (numbers(store), dropped) == ([1, 3, 5, 7], 4)
    assert store.commit([row(8, priority=1, size=900)], ()).dropped == 1
    assert numbers(store) == [3, 5, 7, 8]
    store.close()


def test_reopened_queue_has_the_same_rows_and_size(file: Path) -> None:
    store = SqliteQueue(file, ROOMY)
    ids = store.commit([row(number, size=number) for number in range(5)], ()).ids
    store.commit((), ids[:2])
    before = store.rows, store.size_bytes
    store.close()
    again = SqliteQueue(file, ROOMY)
    assert (again.rows, again.size_bytes) == before == (3, sum(row(n, size=n).size for n in (2, 3, 4)))
    again.close()


def test_old_message_expires_only_if_its_clock_was_synced(file: Path) -> None:
    store = SqliteQueue(file, QueueLimits(max_bytes=100_000, max_age_ms=60_000))
    rows = [row(0, age_ms=61_000), row(1, age_ms=61_000, clock_synced=False), row(2, age_ms=59_000)]
    assert store.commit(rows, ()).expired == 1
    assert numbers(store) == [1, 2]
    store.close()


def test_nothing_expires_while_the_clock_is_not_synced(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = [False]
    store = SqliteQueue(file, QueueLimits(max_bytes=100_000, max_age_ms=60_000, clock_synced=lambda: synced[0]))
    store.commit([row(0)], ())
    monkeypatch.setattr("edged.mqtt.sqlite_queue.now_ms", lambda: now_ms() + 10 * 365 * 86_400_000)
    assert store.commit((), ()).expired == 0
    monkeypatch.undo()
    synced[0] = True
    assert (store.commit((), ()).expired, numbers(store)) == (0, [0])
    store.close()


def test_stats_of_a_waiting_message_give_its_age(file: Path, new_queue: NewQueue) -> None:
    queue = new_queue(file)
    queue.put(ALERT, message(1, ts=now_ms() - 3_600_000))
    stats = until(lambda: queue.stats["unwritten"] == 0 and queue.stats)
    assert stats["messages"] == 1
    assert 3600 <= stats["oldest_s"] < 3700
    assert stats["durable"]


def test_without_a_file_messages_wait_in_memory_and_are_dropped_at_close(new_queue: NewQueue) -> None:
    queue = new_queue(None)
    queue.put(ALERT, message(1))
    until(lambda: queue.stats["unwritten"] == 0)
    assert not queue.stats["durable"]
    queue.connected()
    assert deliver(queue, 1) == [(1, True)]
    queue.put(ALERT, message(2))
    queue.close()
    assert (queue.counts.dropped, queue.counts.waiting) == (1, 0)


def test_message_of_an_unknown_kind_fails(file: Path, new_queue: NewQueue) -> None:
    store = SqliteQueue(file, ROOMY)
    store.commit([QueueRow(path="x", spec_name="of tomorrow", priority=0, timestamp_ms=None, body=b"{}"), row(1)], ())
    store.close()
    queue = new_queue(file, online=True)
    assert deliver(queue, 1) == [(1, True)]
    assert queue.counts.failed == 1


@pytest.mark.parametrize("damage", ["overwritten", "cut", "empty words"])
def test_corrupt_file_is_set_aside_and_counted(
    file: Path, new_queue: NewQueue, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = SqliteQueue(file, ROOMY)
    store.commit([row(number, size=500) for number in range(100)], ())
    store.close()
    good = file.read_bytes()
    damaged = {
        "overwritten": good[:100] + os.urandom(len(good) - 100),
        "cut": good[: len(good) // 2],
        "empty words": b"this is no database" * 100,
    }
    file.write_bytes(damaged[damage])
    queue = new_queue(file, online=True)
    queue.put(ALERT, message(7))
    assert deliver(queue, 1) == [(7, False)]
    assert queue.stats["corrupt_files"] == 1
    assert queue.stats["durable"]
    assert file.with_name("outbox.db.corrupt").read_bytes() == damaged[damage]
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_file_corrupted_while_open_is_replaced_and_its_messages_are_dropped(file: Path, new_queue: NewQueue) -> None:
    queue = new_queue(file, QueueLimits(max_bytes=100_000_000, max_age_ms=86_400_000))
    for number in range(100):  # more than SQLite caches
        queue.put(ALERT, message(number, filler="x" * 50_000))
    until(lambda: queue.stats["unwritten"] == 0)
    for part in file.parent.glob("outbox.db*"):
        with part.open("r+b") as stream:
            stream.write(os.urandom(part.stat().st_size))
    queue.connected()
    until(lambda: queue.stats["corrupt_files"] == 1)
    assert queue.counts.waiting == 0
    assert queue.counts.dropped == 100 - queue.counts.published
    queue.put(ALERT, message(100))
    assert deliver(queue, 1) == [(100, False)]
    assert queue.counts.balanced
    assert queue.stats["durable"]


def test_power_cut_during_a_write_keeps_the_messages_before_it(file: Path) -> None:
    store = SqliteQueue(file, ROOMY)
    for number in range(12):
        store.commit([row(number, size=300)], ())
    image = power_cut_copy(file)
    store.close()
    log = image.with_name("outbox.db-wal")
    whole, count = log.read_bytes(), 12
    for length in sorted(random.sample(range(len(whole)), 60), reverse=True):
        shutil.copy(image, file)
        file.with_name("outbox.db-wal").write_bytes(whole[:length])
        store = SqliteQueue(file, ROOMY)
        found = numbers(store)
        assert found == list(range(len(found)))
        assert len(found) <= count
        count = len(found)
        store.close()


def test_messages_move_to_disk_once_the_folder_exists(
    tmp_path: Path, new_queue: NewQueue, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    file = tmp_path / "not" / "yet" / "outbox.db"
    queue = new_queue(file)
    for number in range(5):
        queue.put(ALERT, message(number))
    until(lambda: queue.stats["unwritten"] == 0)
    assert not queue.stats["durable"]
    file.parent.mkdir(parents=True)
    until(lambda: queue.stats["durable"])
    assert on_disk(file) == list(range(5))
    queue.put(ALERT, message(5))
    queue.connected()
    assert deliver(queue, 6) == [(number, True) for number in range(6)]
    assert queue.counts.balanced
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB."""
    at = tmp_path / "small"
    at.mkdir()
    asked = ("mount", "-t", "tmpfs", "-o", "size=1m", "edged-test", str(at))
    if os.geteuid() != 0 or subprocess.run(asked, check=False, capture_output=True, timeout=60).returncode != 0:
        pytest.skip("mounting a small tmpfs needs root")
    yield at
    subprocess.run(("umount", "-l", str(at)), check=True, timeout=60)


def test_full_disk_loses_no_message_and_keeps_their_order(small_disk: Path, new_queue: NewQueue) -> None:
    queue = new_queue(small_disk / "outbox.db")
    queue.put(ALERT, message(0))
    until(lambda: queue.stats["unwritten"] == 0)
    ballast = small_disk / "ballast"
    with pytest.raises(OSError):  # noqa: PT011  no space is left
        ballast.write_bytes(b"x" * 2_000_000)
    for number in range(1, 200):
        queue.put(ALERT, message(number, filler="x" * 1000))
    until(lambda: queue.stats["unwritten"] == 0)
    assert not queue.stats["durable"]
    queue.connected()
    assert [number for number, _ in deliver(queue, 50)] == list(range(50))
    ballast.unlink()
    until(lambda: queue.stats["durable"])
    assert [number for number, _ in deliver(queue, 150)] == list(range(50, 200))
    until(lambda: queue.idle)
    assert queue.counts.balanced
    assert queue.counts.waiting == 0


def test_full_disk_is_logged_once_though_each_message_is_delivered_at_once(
    small_disk: Path, new_queue: NewQueue, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for period in ("RETRY_DISK_S", "DELETE_INTERVAL_S"):  # each wait below is long for both
        monkeypatch.setattr(f"edged.mqtt.persistent_queue.{period}", 0.001)
    queue = new_queue(small_disk / "outbox.db", online=True)
    queue.put(ALERT, message(0))
    deliver(queue, 1)
    ballast = small_disk / "ballast"
    with pytest.raises(OSError):  # noqa: PT011  no space is left
        ballast.write_bytes(b"x" * 2_000_000)
    for number in range(1, 9):
        queue.put(ALERT, message(number, filler="x" * 100_000))
        deliver(queue, 1)
        until(lambda: queue.stats["bytes"] < 1000)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert not queue.stats["durable"]


def test_read_only_file_system_loses_no_message(small_disk: Path, new_queue: NewQueue) -> None:
    queue = new_queue(small_disk / "outbox.db")
    queue.put(ALERT, message(0))
    until(lambda: queue.stats["unwritten"] == 0)
    queue.close()
    subprocess.run(("mount", "-o", "remount,ro", str(small_disk)), check=True, timeout=60)
    queue = new_queue(small_disk / "outbox.db")
    queue.put(ALERT, message(1))
    until(lambda: queue.stats["unwritten"] == 0)
    assert not queue.stats["durable"]
    subprocess.run(("mount", "-o", "remount,rw", str(small_disk)), check=True, timeout=60)
    until(lambda: queue.stats["durable"])
    queue.connected()
    assert deliver(queue, 2) == [(0, True), (1, True)]


def test_second_queue_on_the_same_file_works_in_memory(file: Path, new_queue: NewQueue) -> None:
    first, second = new_queue(file), None
    first.put(ALERT, message(1))
    until(lambda: first.stats["unwritten"] == 0)
    second = new_queue(file, online=True)
    second.put(ALERT, message(2))
    assert deliver(second, 1) == [(2, False)]
    assert (first.stats["durable"], second.stats["durable"]) == (True, False)


def test_put_of_nan_raises_value_error(new_queue: NewQueue) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  of json itself
        new_queue(None).put(ALERT, {"x": float("nan")})


@pytest.fixture
def eager_threads() -> Iterator[None]:
    """Threads are switched a hundred times as often as usual."""
    usual_s = sys.getswitchinterval()
    sys.setswitchinterval(usual_s / 100)
    yield
    sys.setswitchinterval(usual_s)


@pytest.mark.usefixtures("eager_threads")
def test_counts_read_while_it_works_hard_are_balanced(file: Path, new_queue: NewQueue) -> None:
    queue = new_queue(file, QueueLimits(max_bytes=10_000, max_age_ms=86_400_000))
    over = threading.Event()
    reads: list[DeliveryCounts] = []

    def read() -> None:
        while not over.is_set():
            reads.append(queue.counts)

    def write() -> None:
        for number in itertools.count():
            if over.is_set():
                return
            queue.put(random.choice((ALERT, STATE)), message(number))
            time.sleep(0.001 if number % 50 == 0 else 0)

    def send() -> None:
        while not over.is_set():
            queue.connected()
            for _ in range(random.randrange(100)):
                got = queue.get()
                if got is not None and got.store_id is not None and random.random() < 0.9:
                    queue.done(got.store_id, random.choice(("published", "published", "failed", "refused")))
                time.sleep(0.0001)
            queue.disconnected()

    threads = [threading.Thread(target=work) for work in (read, read, write, write, send)]
    for thread in threads:
        thread.start()
    until(lambda: len(reads) > 50_000 and min(queue.counts.dropped, queue.counts.published, queue.counts.failed) > 5)
    over.set()
    for thread in threads:
        thread.join()
    assert [counts for counts in reads if not counts.balanced or counts.waiting < 0] == []
    queue.close()
    stored = SqliteQueue(file, ROOMY)
    assert queue.counts.balanced
    assert queue.counts.waiting == stored.rows
    stored.close()


def test_store_that_another_process_has_open_is_named_as_that(
    file: Path, new_queue: NewQueue, caplog: pytest.LogCaptureFixture
) -> None:
    other = SqliteQueue(file, ROOMY)
    other.commit([row(0)], ())
    queue = new_queue(file)
    queue.put(ALERT, message(1))
    until(lambda: "stop the process that has it open" in caplog.text)
    assert "make room" not in caplog.text
    other.close()


def test_alert_that_is_put_again_with_its_id_is_stored_once(file: Path, new_queue: NewQueue) -> None:
    queue = new_queue(file, online=True)
    queue.put(ALERT, message(1) | {"id": "a"})
    assert deliver(queue, 1) == [(1, False)]
    queue.close()
    again = new_queue(file, online=True)
    again.put(ALERT, message(1) | {"id": "a"})
    again.put(ALERT, message(2) | {"id": "b"})
    assert deliver(again, 1) == [(2, False)]
    assert (again.counts.dropped, again.counts.balanced) == (1, True)


def test_empty_message_clears_the_topic_after_what_waited_before_it_over_a_restart(
    file: Path, new_queue: NewQueue
) -> None:
    queue = new_queue(file)
    queue.put(STATE, message(1))
    queue.put(STATE, {})
    queue.close()
    again = new_queue(file, online=True)
    assert deliver(again, 1) == [(1, True)]
    assert taken(again).payload == b""
