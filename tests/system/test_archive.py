"""The archive with real servers: every message is one row, through a killed worker and a restart of the database."""

from __future__ import annotations

import asyncio
import errno
import json
import random
import runpy
import shutil
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace

import pytest
from paho.mqtt.client import Client

from tests.support.waiting import LIMIT_S, until
from tools.fleet.nats import NatsCluster

pytest.importorskip("psycopg", reason="install edged[archive]")
pytest.importorskip("nats", reason="install edged[archive]")

import psycopg

from tools.fleet.archive import ARCHIVE, KINDS, SERVERS, Database, Workers, body, check_retention, connect

BEGIN = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)
pytestmark = [
    pytest.mark.skipif(not SERVERS, reason="PostgreSQL is not installed (apt-get install postgresql)"),
    pytest.mark.skipif(
        shutil.which("nats-server", path="/usr/sbin:/usr/bin") is None,
        reason="nats-server is not installed (apt-get install nats-server)",
    ),
]
BOX = "box-1"
MESSAGES = 200  # of each kind
POISON = (  # none of which may hold up those behind it
    "no JSON",
    "[" * 100_000,
    json.dumps({"id": "\ud800", "ts": 1}),
    "[]",
    '{"id": "", "ts": 1}',
    '{"id": 1, "ts": 1}',
    '{"id": "a", "ts": true}',
    '{"id": "a"}',
    json.dumps({"id": random.Random(0).randbytes(9000).hex(), "ts": 1}),  # longer than an index takes
)
ODD_TOPIC = b"edged/box-1/cam/\xff/alert"  # no UTF-8; NATS 2.9 passes it on
DATES = (
    "today",
    "2026-1-5",
    "\u0662\u0660\u0662\u0666-\u0661\u0661-\u0663\u0660",
)  # the last in digits that Python takes too


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    database = Database()
    database.execute((ARCHIVE / "schema.sql").read_text())
    yield database
    database.remove()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsCluster]:
    cluster = NatsCluster(tmp_path_factory.mktemp("cluster"))
    cluster.boxes({BOX: "secret"})
    cluster.person("archive", "a-secret")
    cluster.start()
    yield cluster
    cluster.kill()


@pytest.fixture
def box(cluster: NatsCluster) -> Iterator[Client]:
    client = connect(cluster, BOX, "secret")
    yield client
    client.disconnect()
    client.loop_stop()


@pytest.fixture
def workers(cluster: NatsCluster, database: Database, box: Client) -> Iterator[Workers]:
    workers = Workers(cluster, database)
    yield workers
    workers.close()


def publish(box: Client, first: int, count: int) -> set[str]:
    """Publish this many of each kind, every fifth twice. Returns their ids."""
    ids = set()
    for number in range(first, first + count):
        ids.add(f"id-{number}")
        text = json.dumps(body(number, BEGIN + timedelta(milliseconds=number), day="2026-11-21"))
        for kind in ("state", "daily", "alert") * (2 if number % 5 == 0 else 1):
            box.publish(f"edged/{BOX}/cam/a/{kind}", text, 1)
    box.publish(f"edged/{BOX}/cam/a/end", "{}", 1).wait_for_publish(LIMIT_S)
    return ids


def count(database: Database, kind: str) -> int:
    return int(str(database.execute(f"SELECT count(*) FROM {kind}")[0][0]))


def test_every_message_is_one_row_whatever_is_killed(database: Database, workers: Workers, box: Client) -> None:
    for _ in range(2):
        workers.start()
    quarter = MESSAGES // 4
    workers.wait(2)
    ids = publish(box, 0, quarter)
    until(lambda: count(database, "alert") > 0)
    workers.kill()
    ids |= publish(box, quarter, quarter)
    workers.start()
    database.stop()
    ids |= publish(box, 2 * quarter, quarter)
    database.start()
    workers.kill()
    for text in POISON:
        box.publish(f"edged/{BOX}/cam/a/alert", text, 1)
    box._send_publish(65000, ODD_TOPIC, b"no JSON", 1)
    for date in DATES:
        box.publish(f"edged/{BOX}/cam/a/daily", json.dumps({"id": date, "ts": 1, "date": date, "closed": True}), 1)
    ids |= publish(box, 3 * quarter, quarter)
    for kind in ("state", "daily", "alert"):
        until(lambda kind=kind: count(database, kind) >= MESSAGES)  # type: ignore[misc]
        assert set(database.ids(kind)) == ids
    until(lambda: count(database, "rejected") == len(POISON) + 1 + len(DATES))
    assert count(database, "alert_now") == MESSAGES // 2
    assert count(database, "day") == 1
    workers.close()  # what a killed one had stored, and not acknowledged, may come again
    check_clocks_and_types(database)
    check_retention(database)


def check_clocks_and_types(database: Database) -> None:
    """What was opened by a clock an hour ahead is closed; numbers that are none, and other clocks, end no query."""
    now = datetime.now(timezone.utc)
    yesterday = (now - timedelta(days=1)).date().isoformat()
    stall = {"minutes": {"sternal": "all", "lateral": [1]}}
    for kind, number, ahead_h, more in (
        ("alert", 9000, 1, {"stage": "open"}),
        ("alert", 9001, 0, {"stage": "closed"}),
        ("daily", 9000, 1, {"closed": False, "stall": stall}),
        ("daily", 9001, 0, {"closed": True, "stall": {"minutes": {"sternal": 60, "lateral": 1.5}}}),
        ("daily", 9002, 0, {"closed": True, "stall": stall}),
        ("state", 9000, 24, {}),
    ):
        at = now + timedelta(hours=ahead_h)
        text = json.dumps({**body(number, at, day=yesterday), **more})
        camera, arrived = f"c-{number // 2}", now - timedelta(hours=2)
        database.execute(
            f"INSERT INTO {kind} VALUES ('{number}', 'odd', '{camera}', '{at.isoformat()}', '{text}', '{arrived}')"
        )
    rings, lying, silent = (
        [row for row in database.execute(query) if "odd" in row]
        for query in (ARCHIVE / "queries.sql").read_text().split(";\n\n")
    )
    assert rings == []
    assert [row[:3] for row in lying] == [("odd", "c-4500", 61.5), ("odd", "c-4501", None)]
    assert {row[1] for row in silent} == {"c-4500", "c-4501"}
    assert database.execute("SELECT closed FROM day WHERE camera = 'c-4500'") == [(True,)]
    database.execute("UPDATE daily SET arrived = arrived - interval '3 days' WHERE device = 'odd'")
    database.execute("SELECT forget(90)")
    assert database.execute("SELECT id FROM daily WHERE camera = 'c-4500'") == [("9001",)]


def test_tables_of_an_earlier_version_keep_their_rows_and_take_the_same_id_of_another_device(
    database: Database,
) -> None:
    database.execute("CREATE DATABASE earlier")
    url = database.url.removesuffix("postgres") + "earlier"
    columns = (
        "id text PRIMARY KEY, device text NOT NULL, camera text NOT NULL, ts timestamptz NOT NULL, body jsonb NOT NULL"
    )
    store = runpy.run_path(str(ARCHIVE / "archive.py"))["store"]
    data = json.dumps(body(1, BEGIN))

    async def upgrade() -> list[list[tuple[object, ...]]]:
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            for kind in KINDS:
                await connection.execute(f"CREATE TABLE {kind} ({columns})")
                await connection.execute(f"INSERT INTO {kind} VALUES ('id-1', 'box-1', 'a', now(), %s)", (data,))
            for _ in range(2):
                await connection.execute((ARCHIVE / "schema.sql").read_text().encode())
            for kind in KINDS:
                subjects = [f"edged.{device}.cam.a.{kind}" for device in ("box-1", "box-2", "box-2")]
                await store(
                    connection, kind, [SimpleNamespace(subject=subject, data=data.encode()) for subject in subjects]
                )
            return [
                await (await connection.execute(f"SELECT device FROM {table} ORDER BY device")).fetchall()
                for table in (*KINDS, "alert_now")
            ]

    assert asyncio.run(upgrade()) == [[("box-1",), ("box-2",)]] * 4


def test_poses_that_cannot_be_read_do_not_spoil_the_file_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[dict[str, object]] = []
    parquet = SimpleNamespace(write_table=lambda table, part, compression: part.touch())
    arrow = SimpleNamespace(Table=SimpleNamespace(from_pylist=rows.extend), parquet=parquet)
    monkeypatch.setitem(sys.modules, "pyarrow", arrow)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", parquet)
    files = runpy.run_path(str(ARCHIVE / "archive.py"))["PoseFiles"](tmp_path, 10)
    texts = ["[" * 100_000, '{"ts": 1e999, "subjects": []}', f'{{"ts": {1 << 70}, "subjects": []}}', "{}"]
    for number, text in enumerate([*texts, '{"ts": 1, "subjects": []}']):
        asyncio.run(files.take(SimpleNamespace(subject=f"edged.{BOX}.cam.{number}.poses", data=text)))
    files.write()
    assert rows == [{"device": BOX, "camera": "4", "ts": 1, "subjects": "[]"}]
    clock_s = iter([*[100.0] * 200, *[105.0] * 200, 120.0])
    due = [(box, str(number)) for box in ("a", "b") for number in range(100)]
    found = [files._is_time(box, camera, next(clock_s)) for box, camera in [*due, *due, ("a", "new")]]
    assert found == [*[True] * 64, *[False] * 36] * 2 + [False] * 200 + [True]
    assert {box: len(cameras) for box, cameras in files._taken_s.items()} == {BOX: 5, "a": 64, "b": 64}
    assert len(list(tmp_path.glob("*.parquet"))) == 1


def test_queue_that_exists_keeps_its_settings_and_tells_which_differ(caplog: pytest.LogCaptureFixture) -> None:
    archive = runpy.run_path(str(ARCHIVE / "archive.py"))
    subject = "$MQTT.msgs.edged.*.cam.*.state"
    config = SimpleNamespace(filter_subject=subject, ack_wait=30.0, max_ack_pending=20 * archive["BATCH"])

    async def found(*_: object, **__: object) -> SimpleNamespace:
        return SimpleNamespace(config=config)

    queues = SimpleNamespace(consumer_info=found, pull_subscribe_bind=found)
    asyncio.run(archive["bind"](queues, "state", 30))
    assert caplog.text == ""
    asyncio.run(archive["bind"](queues, "state", 90))
    assert "the queue edged-state was made with ack_wait 30.0, which stays: wanted 90;" in caplog.text


def test_full_disk_costs_the_poses_that_wait_and_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(table: object, part: Path, compression: str) -> None:
        part.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    arrow = SimpleNamespace(Table=SimpleNamespace(from_pylist=list), parquet=SimpleNamespace(write_table=full))
    monkeypatch.setitem(sys.modules, "pyarrow", arrow)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", arrow.parquet)
    files = runpy.run_path(str(ARCHIVE / "archive.py"))["PoseFiles"](tmp_path, 10)
    message = SimpleNamespace(subject=f"edged.{BOX}.cam.a.poses", data='{"ts": 1, "subjects": []}')
    asyncio.run(files.take(message))
    files.write()
    assert "No space left on device; 1 samples of poses are lost" in caplog.text
    assert list(tmp_path.iterdir()) == []


def test_one_sample_of_poses_of_each_camera_is_in_a_file_of_parquet(
    cluster: NatsCluster, database: Database, box: Client, tmp_path: Path
) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="install edged[archive]")
    workers = Workers(cluster, database, "--poses", str(tmp_path), "--every", "60")
    workers.start()
    try:
        workers.wait(1)
        for number in range(50):
            for camera in ("a", "b"):
                text = json.dumps({"ts": 1795220860500 + number, "subjects": [{"class": "horse"}]})
                box.publish(f"edged/{BOX}/cam/{camera}/poses", text, 0)
            time.sleep(0.02)  # the subscription may be younger than the first
        box.publish(f"edged/{BOX}/cam/a/alert", json.dumps(body(1, BEGIN)), 1).wait_for_publish(LIMIT_S)
        until(lambda: "id-1" in database.ids("alert"))
        workers.stop()
    finally:
        workers.close()
    (file,) = tmp_path.glob("*.parquet")
    rows = parquet.read_table(file).to_pylist()
    assert sorted(row["camera"] for row in rows) == ["a", "b"]
    assert {(row["device"], row["subjects"]) for row in rows} == {(BOX, '[{"class": "horse"}]')}
    assert all(1795220860500 <= row["ts"] < 1795220860550 for row in rows)
