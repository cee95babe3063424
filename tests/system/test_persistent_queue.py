"""What must survive: on disk first, in order, bounded, and through every kind of bad disk."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edged.messages import topics
from edged.messages.topics import Topic
from edged.mqtt.persistent_queue import MAX_IN_FLIGHT, PersistentQueue
from edged.mqtt.send_queue import OutgoingMessage
from edged.mqtt.sqlite_queue import QueueLimits, QueueRow, SqliteQueue
from tests.system.conftest import until

ALERT, STATE = topics.ALERT.at(camera="a"), topics.STATE.at(camera="a")
ROOMY = QueueLimits(max_bytes=1_000_000, max_age_ms=86_400_000)

NewKeep = Callable[..., PersistentQueue]


def letter(topic: Topic, body: Any) -> OutgoingMessage:
    return OutgoingMessage(topic=topic.path, payload=json.dumps(body).encode(), spec=topic.spec)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def message(number: int, **more: Any) -> dict[str, Any]:
    return {"n": number, "ts": now_ms(), "time_synced": True, "id": f"id-{number}", **more}


def row(number: int, *, age_ms: int = 0, dated: bool = True, priority: int = 1, size: int = 0) -> QueueRow:
    body = json.dumps({"n": number, "filler": "x" * size}).encode()
    at_ms = now_ms() - age_ms
    return QueueRow(
        path="cam/a/alert", spec_name="alert", priority=priority, timestamp_ms=at_ms, clock_synced=dated, body=body
    )


def numbers(ring: SqliteQueue) -> list[int]:
    return [json.loads(row.body)["n"] for row in ring.read_all()]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


@pytest.fixture
def new_keep() -> Iterator[NewKeep]:
    keeps: list[PersistentQueue] = []

    def start(path: Path | None, bounds: QueueLimits = ROOMY, *, online: bool = False) -> PersistentQueue:
        keeps.append(PersistentQueue(path, bounds, letter, lambda: None))
        if online:
            keeps[-1].connected()
        return keeps[-1]

    yield start
    for keep in keeps:
        keep.close()


def take(keep: PersistentQueue, count: int) -> list[tuple[int, bool]]:
    """Take and have acknowledged: the numbers, and whether each says it was stored."""
    taken = []
    for _ in range(count):
        got = until(keep.get)
        taken.append((json.loads(got.payload)["n"], json.loads(got.payload).get("stored", False)))
        keep.done(got.store_id, "published")
    return taken


def as_after_a_power_cut(file: Path) -> Path:
    """A copy of the files as they are this instant."""
    copy = Path(tempfile.mkdtemp(dir=file.parent))
    for part in file.parent.glob("outbox.db*"):
        shutil.copy(part, copy)
    return copy / file.name


def on_disk(file: Path) -> list[int]:
    ring = SqliteQueue(as_after_a_power_cut(file), ROOMY)
    found = numbers(ring)
    ring.close()
    return found


def test_a_message_is_on_disk_before_it_can_be_sent_and_until_it_is_acknowledged(file: Path, new_keep: NewKeep) -> None:
    keep = new_keep(file, online=True)
    keep.put(ALERT, message(1))
    got = until(keep.get)
    assert on_disk(file) == [1]
    keep.done(got.store_id, "published")
    until(lambda: on_disk(file) == [])


def test_live_messages_leave_as_they_came(file: Path, new_keep: NewKeep) -> None:
    keep = new_keep(file, online=True)
    for number in range(3 * MAX_IN_FLIGHT):
        keep.put(ALERT, message(number))
    assert take(keep, 3 * MAX_IN_FLIGHT) == [(number, False) for number in range(3 * MAX_IN_FLIGHT)]
    assert keep.counts.published == 3 * MAX_IN_FLIGHT
    assert keep.counts.balanced


def test_what_an_earlier_life_left_goes_first_and_says_that_it_was_stored(file: Path, new_keep: NewKeep) -> None:
    first = new_keep(file)
    for number in range(2 * MAX_IN_FLIGHT):
        first.put(ALERT, message(number))
    first.close()
    second = new_keep(file, online=True)
    second.put(ALERT, message(99))
    assert take(second, 2 * MAX_IN_FLIGHT + 1) == [
        *((number, True) for number in range(2 * MAX_IN_FLIGHT)),
        (99, False),
    ]
    until(lambda: second.idle)
    assert second.counts.waiting == 0
    assert second.counts.balanced


def test_what_was_on_its_way_when_the_connection_went_is_sent_again(file: Path, new_keep: NewKeep) -> None:
    keep = new_keep(file, online=True)
    for number in range(3):
        keep.put(ALERT, message(number))
    taken = [until(keep.get) for _ in range(3)]
    keep.done(taken[0].store_id, "published")
    keep.disconnected()
    keep.done(taken[1].store_id, "published")  # too late: that connection is over
    keep.connected()
    assert take(keep, 2) == [(1, True), (2, True)]


def test_nothing_is_handed_out_without_a_connection(file: Path, new_keep: NewKeep) -> None:
    keep = new_keep(file)
    keep.put(ALERT, message(1))
    until(lambda: keep.stats["unwritten"] == 0)
    assert keep.get() is None
    assert keep.idle


def test_a_message_refused_for_now_waits_and_one_refused_for_good_goes(file: Path, new_keep: NewKeep) -> None:
    keep = new_keep(file, online=True)
    for number in range(2):
        keep.put(ALERT, message(number))
    keep.done(until(keep.get).store_id, "refused")
    keep.done(until(keep.get).store_id, "failed")
    until(lambda: on_disk(file) == [0])
    assert (keep.counts.failed, keep.counts.waiting) == (1, 1)
    keep.disconnected()
    keep.connected()
    assert take(keep, 1) == [(0, True)]


def test_a_full_ring_gives_up_what_matters_least_oldest_first(file: Path) -> None:
    ring = SqliteQueue(file, QueueLimits(max_bytes=4 * 1100, max_age_ms=1000))
    rows = [row(number, priority=number % 2, size=900) for number in range(8)]
    dropped = ring.commit(rows, (), now_ms()).dropped
    assert (numbers(ring), dropped) == ([1, 3, 5, 7], 4)
    assert ring.commit([row(8, priority=1, size=900)], (), now_ms()).dropped == 1
    assert numbers(ring) == [3, 5, 7, 8]
    ring.close()


def test_the_figures_of_a_ring_are_those_of_its_file(file: Path) -> None:
    ring = SqliteQueue(file, ROOMY)
    ids = ring.commit([row(number, size=number) for number in range(5)], (), now_ms()).ids
    ring.commit((), ids[:2], now_ms())
    before = ring.rows, ring.size_bytes
    ring.close()
    again = SqliteQueue(file, ROOMY)
    assert (again.rows, again.size_bytes) == before == (3, sum(row(n, size=n).size for n in (2, 3, 4)))
    again.close()


def test_old_messages_expire_unless_nobody_knows_how_old_they_are(file: Path) -> None:
    ring = SqliteQueue(file, QueueLimits(max_bytes=100_000, max_age_ms=60_000))
    rows = [row(0, age_ms=61_000), row(1, age_ms=61_000, dated=False), row(2, age_ms=59_000)]
    assert ring.commit(rows, (), now_ms()).expired == 1
    assert numbers(ring) == [1, 2]
    ring.close()


def test_the_age_of_the_oldest_is_told(file: Path, new_keep: NewKeep) -> None:
    keep = new_keep(file)
    keep.put(ALERT, message(1, ts=now_ms() - 3_600_000))
    figures = until(lambda: keep.stats["unwritten"] == 0 and keep.stats)
    assert figures["rows"] == 1
    assert 3600 <= figures["oldest_s"] < 3700
    assert figures["durable"]


def test_without_a_file_messages_wait_in_memory_and_go_with_the_process(new_keep: NewKeep) -> None:
    keep = new_keep(None)
    keep.put(ALERT, message(1))
    until(lambda: keep.stats["unwritten"] == 0)
    assert not keep.stats["durable"]
    keep.connected()
    assert take(keep, 1) == [(1, True)]
    keep.put(ALERT, message(2))
    keep.close()
    assert (keep.counts.dropped, keep.counts.waiting) == (1, 0)


def test_a_channel_of_another_version_is_given_up(file: Path, new_keep: NewKeep) -> None:
    ring = SqliteQueue(file, ROOMY)
    ring.commit(
        [QueueRow(path="x", spec_name="of tomorrow", priority=0, timestamp_ms=None, body=b"{}"), row(1)], (), now_ms()
    )
    ring.close()
    keep = new_keep(file, online=True)
    assert take(keep, 1) == [(1, True)]
    assert keep.counts.failed == 1


@pytest.mark.parametrize("damage", ["overwritten", "cut", "empty words"])
def test_a_torn_file_is_set_aside_and_counted(
    file: Path, new_keep: NewKeep, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    ring = SqliteQueue(file, ROOMY)
    ring.commit([row(number, size=500) for number in range(100)], (), now_ms())
    ring.close()
    good = file.read_bytes()
    torn = {
        "overwritten": good[:100] + os.urandom(len(good) - 100),
        "cut": good[: len(good) // 2],
        "empty words": b"this is no database" * 100,
    }
    file.write_bytes(torn[damage])
    keep = new_keep(file, online=True)
    keep.put(ALERT, message(7))
    assert take(keep, 1) == [(7, False)]
    assert keep.stats["corrupt_files"] == 1
    assert keep.stats["durable"]
    assert file.with_name("outbox.db.torn").read_bytes() == torn[damage]
    assert "set aside" in caplog.text


def test_a_power_cut_in_the_middle_of_a_write_leaves_the_messages_before_it(file: Path) -> None:
    ring = SqliteQueue(file, ROOMY)
    for number in range(12):
        ring.commit([row(number, size=300)], (), now_ms())
    image = as_after_a_power_cut(file)
    ring.close()
    log = image.with_name("outbox.db-wal")
    whole, kept = log.read_bytes(), 12
    for length in sorted(random.sample(range(len(whole)), 60), reverse=True):
        shutil.copy(image, file)
        file.with_name("outbox.db-wal").write_bytes(whole[:length])
        ring = SqliteQueue(file, ROOMY)
        found = numbers(ring)
        assert found == list(range(len(found)))
        assert len(found) <= kept
        kept = len(found)
        ring.close()


def test_a_place_that_cannot_be_written_is_written_once_it_can(
    tmp_path: Path, new_keep: NewKeep, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    file = tmp_path / "not" / "yet" / "outbox.db"
    keep = new_keep(file)
    for number in range(5):
        keep.put(ALERT, message(number))
    until(lambda: keep.stats["unwritten"] == 0)
    assert not keep.stats["durable"]
    file.parent.mkdir(parents=True)
    until(lambda: keep.stats["durable"])
    assert on_disk(file) == list(range(5))
    keep.put(ALERT, message(5))
    keep.connected()
    assert take(keep, 6) == [(number, True) for number in range(6)]
    assert keep.counts.balanced
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert "wait in memory" in said[0]
    assert "5 messages moved" in said[1]


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


def test_a_full_disk_costs_no_message_and_no_order(small_disk: Path, new_keep: NewKeep) -> None:
    keep = new_keep(small_disk / "outbox.db")
    keep.put(ALERT, message(0))
    until(lambda: keep.stats["unwritten"] == 0)
    ballast = small_disk / "ballast"
    with pytest.raises(OSError, match="No space"):
        ballast.write_bytes(b"x" * 2_000_000)
    for number in range(1, 200):
        keep.put(ALERT, message(number, filler="x" * 1000))
    until(lambda: keep.stats["unwritten"] == 0)
    assert not keep.stats["durable"]
    keep.connected()
    assert [number for number, _ in take(keep, 50)] == list(range(50))
    ballast.unlink()
    until(lambda: keep.stats["durable"])
    assert [number for number, _ in take(keep, 150)] == list(range(50, 200))
    until(lambda: keep.idle)
    assert keep.counts.balanced
    assert keep.counts.waiting == 0


def test_a_read_only_file_system_costs_no_message(small_disk: Path, new_keep: NewKeep) -> None:
    keep = new_keep(small_disk / "outbox.db")
    keep.put(ALERT, message(0))
    until(lambda: keep.stats["unwritten"] == 0)
    keep.close()
    subprocess.run(("mount", "-o", "remount,ro", str(small_disk)), check=True, timeout=60)
    keep = new_keep(small_disk / "outbox.db")
    keep.put(ALERT, message(1))
    until(lambda: keep.stats["unwritten"] == 0)
    assert not keep.stats["durable"]
    subprocess.run(("mount", "-o", "remount,rw", str(small_disk)), check=True, timeout=60)
    until(lambda: keep.stats["durable"])
    keep.connected()
    assert take(keep, 2) == [(0, True), (1, True)]


def test_a_second_daemon_on_the_same_file_does_without(file: Path, new_keep: NewKeep) -> None:
    first, second = new_keep(file), None
    first.put(ALERT, message(1))
    until(lambda: first.stats["unwritten"] == 0)
    second = new_keep(file, online=True)
    second.put(ALERT, message(2))
    assert take(second, 1) == [(2, False)]
    assert (first.stats["durable"], second.stats["durable"]) == (True, False)


def test_what_is_not_json_is_refused_at_once(new_keep: NewKeep) -> None:
    with pytest.raises(ValueError, match="JSON"):
        new_keep(None).put(ALERT, {"x": float("nan")})
