"""The archive with real servers: every message is one row, through a killed worker and a restart of the database."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import random
import runpy
import shutil
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from tests.support.mqtt import MQTTv311, free_port
from tests.support.waiting import LIMIT_S, until
from tools.fleet.nats import NatsCluster

psycopg = pytest.importorskip("psycopg", reason="install edged[archive]")
pytest.importorskip("nats", reason="install edged[archive]")

ARCHIVE = Path(__file__).parents[2] / "deploy" / "archive"
SERVERS = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
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
    json.dumps({"id": random.Random(0).randbytes(9000).hex(), "ts": 1}),  # longer than an index takes
)


class Database:
    """PostgreSQL in a folder of its own, run by the user postgres, as it refuses to be root."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="edged-postgres-"))
        self.port = free_port()
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        self._root = os.geteuid() == 0
        if self._root:
            os.chown(self.folder, pwd.getpwnam("postgres").pw_uid, pwd.getpwnam("postgres").pw_gid)
        self._run("initdb", "--no-sync", "--auth=trust", "--username=postgres")
        self.start()

    def start(self) -> None:
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1"
        self._run("pg_ctl", "start", "-w", "-l", f"{self.folder}/log", "-o", options)

    def stop(self) -> None:
        """At once, as when it crashes: it recovers from its log."""
        self._run("pg_ctl", "stop", "-m", "immediate")

    def execute(self, text: str) -> list[tuple[object, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(text)
            return cursor.fetchall() if cursor.description else []

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(SERVERS[-1].with_name(program)), "-D", str(self.folder / "data"), *arguments]
        user = "postgres" if self._root else None
        subprocess.run(command, check=True, cwd="/", timeout=LIMIT_S, stdout=subprocess.DEVNULL, user=user, group=user)


@pytest.fixture
def database() -> Iterator[Database]:
    database = Database()
    database.execute((ARCHIVE / "schema.sql").read_text())
    yield database
    database.stop()
    shutil.rmtree(database.folder)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[NatsCluster]:
    cluster = NatsCluster(tmp_path)
    cluster.boxes({BOX: "secret"})
    cluster.person("archive", "a-secret")
    cluster.start()
    yield cluster
    cluster.kill()


@pytest.fixture
def box(cluster: NatsCluster) -> Iterator[Client]:
    client = Client(CallbackAPIVersion.VERSION2, BOX, protocol=MQTTv311)
    client.username_pw_set(BOX, "secret")
    client.tls_set_context(ssl.create_default_context(cafile=cluster.ca))
    client.connect("127.0.0.1", cluster.ports[0])
    client.loop_start()
    until(client.is_connected)
    yield client
    client.disconnect()
    client.loop_stop()


class Workers:
    def __init__(self, cluster: NatsCluster, database: Database) -> None:
        (cluster.folder / "password").write_text("a-secret")
        urls = ",".join(f"tls://127.0.0.1:{node.port}" for node in cluster.nodes)
        words = ["--nats", urls, "--ca", str(cluster.ca), "--database", database.url, "--ack-wait", "2"]
        words += ["--password-file", str(cluster.folder / "password")]
        self._command = [sys.executable, str(ARCHIVE / "archive.py"), *words]
        self._log = cluster.folder / "workers.log"
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        with self._log.open("ab") as out:
            self.running.append(subprocess.Popen(self._command, stdout=out, stderr=out))

    @property
    def log(self) -> str:
        return self._log.read_text()

    def kill(self) -> None:
        worker = self.running.pop(0)
        worker.kill()
        worker.wait(LIMIT_S)


@pytest.fixture
def workers(cluster: NatsCluster, database: Database, box: Client) -> Iterator[Workers]:
    workers = Workers(cluster, database)
    yield workers
    while workers.running:
        workers.kill()


def publish(box: Client, first: int, count: int) -> set[str]:
    """Publish this many of each kind, every fifth twice. Returns their ids."""
    ids = set()
    for number in range(first, first + count):
        ids.add(f"id-{number}")
        body = {"id": f"id-{number}", "ts": 1795220860500 + number, "alert_id": f"a-{number // 2}", "stage": "open"}
        body |= {"date": "2026-11-21", "closed": False, "stall": None, "severity": "warning"}
        for kind in ("state", "daily", "alert") * (2 if number % 5 == 0 else 1):
            box.publish(f"edged/{BOX}/cam/a/{kind}", json.dumps(body), 1)
    box.publish(f"edged/{BOX}/cam/a/end", "{}", 1).wait_for_publish(LIMIT_S)
    return ids


def count(database: Database, kind: str) -> int:
    return int(str(database.execute(f"SELECT count(*) FROM {kind}")[0][0]))


def test_every_message_is_one_row_whatever_is_killed(database: Database, workers: Workers, box: Client) -> None:
    for _ in range(2):
        workers.start()
    quarter = MESSAGES // 4
    until(lambda: workers.log.count("taken from the queue") == 6)  # before that the cluster keeps nothing for them
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
    box.publish(f"edged/{BOX}/cam/a/daily", json.dumps({"id": "1", "ts": 1, "date": "today", "closed": True}), 1)
    ids |= publish(box, 3 * quarter, quarter)
    for kind in ("state", "daily", "alert"):
        until(lambda kind=kind: count(database, kind) >= MESSAGES)  # type: ignore[misc]
        assert {found for (found,) in database.execute(f"SELECT id FROM {kind}")} == ids
    until(lambda: count(database, "rejected") == len(POISON) + 1)
    for query in (ARCHIVE / "queries.sql").read_text().split(";\n\n"):
        database.execute(query)
    assert count(database, "alert_now") == MESSAGES // 2
    assert count(database, "day") == 1


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
    assert len(list(tmp_path.glob("*.parquet"))) == 1
