"""`python -m tools.fleet.archive`: the archive of deploy/archive on real servers, its workers killed all the time.

Three NATS nodes and PostgreSQL on loopback. Boxes publish states, totals and alerts, every fifth twice; a worker is
killed again and again, the database crashes in the middle. At the end every message is one row, or it is told how many
are not.
"""

from __future__ import annotations

import argparse
import json
import os
import pwd
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import psycopg
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from edged.units import MS_PER_S
from tools.fleet.brokers import free_port
from tools.fleet.nats import NatsCluster

ARCHIVE = Path(__file__).parents[2] / "deploy" / "archive"
KINDS = ("state", "daily", "alert")
SERVERS = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
LIMIT_S = 60.0
SETTLE_S = 300.0  # for what is in the queues to be in the tables


class Database:
    """PostgreSQL in a folder of its own, run by the user postgres, as it refuses to be root."""

    def __init__(self) -> None:
        if not SERVERS:
            sys.exit("PostgreSQL is not installed (apt-get install postgresql)")
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

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder)

    def execute(self, text: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(text)
            return cursor.fetchall() if cursor.description else []

    def ids(self, kind: str) -> list[str]:
        return [found for (found,) in self.execute(f"SELECT id FROM {kind}")]  # noqa: S608  ours

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(SERVERS[-1].with_name(program)), "-D", str(self.folder / "data"), *arguments]
        user = "postgres" if self._root else None
        subprocess.run(command, check=True, cwd="/", timeout=LIMIT_S, stdout=subprocess.DEVNULL, user=user, group=user)


class Workers:
    """Processes of archive.py, which log into one file."""

    def __init__(self, cluster: NatsCluster, database: Database, *more: str, ack_wait_s: float = 2) -> None:
        (cluster.folder / "password").write_text("a-secret")
        urls = ",".join(f"tls://127.0.0.1:{node.port}" for node in cluster.nodes)
        words = ["--nats", urls, "--ca", str(cluster.ca), "--database", database.url, "--ack-wait", f"{ack_wait_s:g}"]
        words += ["--password-file", str(cluster.folder / "password"), *more]
        self._command = [sys.executable, str(ARCHIVE / "archive.py"), *words]
        self._log = cluster.folder / "workers.log"
        self._log.unlink(missing_ok=True)
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        with self._log.open("ab") as out:
            self.running.append(subprocess.Popen(self._command, stdout=out, stderr=out))

    @property
    def log(self) -> str:
        return self._log.read_text()

    @property
    def tasks(self) -> int:
        """How often a worker has begun to take from one of the three queues."""
        return self.log.count("taken from the queue") if self._log.exists() else 0

    def wait(self, workers: int) -> None:
        """Wait until so many take from all queues: before the first does, the cluster keeps nothing for them."""
        try:
            wait_for(lambda: self.tasks >= len(KINDS) * workers, "the queues", 3 * LIMIT_S)
        except RuntimeError as error:
            raise RuntimeError(f"{error}; the workers say: {self.log[-2000:]}") from None

    def kill(self) -> None:
        """The one that has run longest, as by a power cut."""
        worker = self.running.pop(0)
        worker.kill()
        worker.wait(LIMIT_S)

    def stop(self) -> None:
        """The one that has run longest, as systemd does."""
        worker = self.running.pop(0)
        worker.terminate()
        worker.wait(LIMIT_S)

    def close(self) -> None:
        while self.running:
            self.kill()


def connect(cluster: NatsCluster, name: str, password: str, node: int = 0) -> Client:
    """A box's connection, whose loop runs in a thread."""
    client = Client(CallbackAPIVersion.VERSION2, name, protocol=MQTTProtocolVersion.MQTTv311)
    client.username_pw_set(name, password)
    client.tls_set_context(ssl.create_default_context(cafile=cluster.ca))
    client.connect("127.0.0.1", cluster.ports[node])
    client.loop_start()
    wait_for(client.is_connected, f"{name} to be connected")
    return client


def body(number: int, at: datetime, *, day: str | None = None) -> dict[str, Any]:
    """What a state, totals and an alert have, all in one."""
    facts = {"id": f"id-{number}", "ts": round(at.timestamp() * MS_PER_S), "alert_id": f"a-{number // 2}"}
    known = {"stage": "open", "severity": "warning", "stall": None, "closed": False}
    return {**facts, **known, "date": day or at.date().isoformat()}


def wait_for(true: Callable[[], object], what: str, limit_s: float = LIMIT_S) -> None:
    """Raises RuntimeError when it does not come in time."""
    end_s = time.monotonic() + limit_s
    while not true():
        if time.monotonic() > end_s:
            raise RuntimeError(f"waited {limit_s:g} s in vain for {what}")
        time.sleep(0.05)


class Boxes:
    """Boxes that publish at a rate, from a thread; each message is one of each kind."""

    def __init__(self, clients: dict[str, Client], rate_hz: float) -> None:
        self._clients = list(clients.items())
        self._rate_hz = rate_hz
        self.ids: list[str] = []
        self.deliveries = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        """Returns when the cluster has everything."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        infos = []
        begin_s = time.monotonic()
        while not self._stop.wait(max(0.0, begin_s + len(self.ids) / self._rate_hz - time.monotonic())):
            number = len(self.ids)
            name, client = self._clients[number % len(self._clients)]
            text = json.dumps(body(number, datetime.now(timezone.utc)))
            for kind in KINDS * (2 if number % 5 == 0 else 1):
                infos.append(client.publish(f"edged/{name}/cam/a/{kind}", text, 1))
                self.deliveries += 1
            self.ids.append(f"id-{number}")
            infos = [info for info in infos if not info.is_published()]
        for info in infos:
            info.wait_for_publish(LIMIT_S)


@contextmanager
def servers(boxes: int) -> Iterator[tuple[NatsCluster, Database]]:
    """A cluster that knows box-0, box-1, …, and a database with the tables."""
    with tempfile.TemporaryDirectory() as folder:
        cluster, database = NatsCluster(Path(folder)), Database()
        try:
            cluster.boxes({f"box-{number}": "secret" for number in range(boxes)})
            cluster.person("archive", "a-secret")
            cluster.start()
            database.execute((ARCHIVE / "schema.sql").read_text())
            yield cluster, database
        finally:
            cluster.kill()
            database.remove()


def check_retention(database: Database) -> str:
    """What `forget` leaves of rows of which it is known what should stay. Raises AssertionError for anything else."""
    now = datetime.now(timezone.utc)
    for table in (*KINDS, "rejected"):
        database.execute(f"TRUNCATE {table}")
    rows = []
    for number, (age_days, kind) in enumerate(
        [
            (100, "state"),
            (80, "state"),
            (100, "alert"),
            (100.1, "daily"),
            (100, "daily"),
            (0.2, "daily"),
            (0.1, "daily"),
        ]
    ):
        at = now - timedelta(days=age_days)
        text = json.dumps(body(number, at, day=(now - timedelta(days=int(age_days))).date().isoformat()))
        rows.append(
            f"INSERT INTO {kind} VALUES ('id-{number}', 'box', 'a', '{at.isoformat()}', '{text}', '{at.isoformat()}')"  # noqa: S608  ours
        )
    for row in rows:
        database.execute(row)
    old = (now - timedelta(days=100)).isoformat()
    database.execute(f"INSERT INTO rejected VALUES ('{old}', 's', 'r', ''), (now(), 's', 'r', '')")  # noqa: S608
    gone = database.execute("SELECT forget(90)")[0][0]
    left = {kind: sorted(database.ids(kind)) for kind in KINDS}
    wanted = {"state": ["id-1"], "daily": ["id-4", "id-5", "id-6"], "alert": ["id-2"]}
    rejected = database.execute("SELECT count(*) FROM rejected")[0][0]
    if (gone, left, rejected) != (3, wanted, 1):
        raise AssertionError(f"forget(90) took {gone} rows and left {left}, {rejected} rejected; wanted {wanted}, 1")
    if database.execute("SELECT forget(90)")[0][0]:
        raise AssertionError("a second forget(90) took more")
    return f"forget(90) took {gone} rows, and left the state of 80 days, alerts, and the last totals of old days"


def run(seconds: float, *, boxes: int, rate_hz: float, kill_s: float, workers: int) -> None:
    with servers(boxes) as (cluster, database):
        clients = {f"box-{n}": connect(cluster, f"box-{n}", "secret", n % 3) for n in range(boxes)}
        team = Workers(cluster, database, ack_wait_s=30)
        try:
            for _ in range(workers):
                team.start()
            team.wait(workers)
            source = Boxes(clients, rate_hz)
            kills = disturb(team, database, seconds, kill_s)
            source.stop()
            print(f"{seconds:g} s, {boxes} boxes, {workers} workers: {kills} killed, the database crashed once")
            report(source, database)
            team.close()  # what a killed worker had stored, and not acknowledged, may come again
            print(check_retention(database))
        finally:
            team.close()
            for client in clients.values():
                client.disconnect()
                client.loop_stop()


def disturb(team: Workers, database: Database, seconds: float, kill_s: float) -> int:
    """Kill one worker after the other, and crash the database in the middle. Returns how many were killed."""
    begin_s, kills, crashed = time.monotonic(), 0, False
    while (passed_s := time.monotonic() - begin_s) < seconds:
        time.sleep(min(kill_s, seconds - passed_s))
        if not crashed and passed_s + kill_s > seconds / 2:
            database.stop()
            time.sleep(2)
            database.start()
            crashed = True
        team.kill()
        team.start()
        kills += 1
    return kills


def report(source: Boxes, database: Database) -> None:
    """Print what is in the tables of what boxes have made, once it is there."""
    stopped_s = time.monotonic()
    with suppress(RuntimeError):  # what is missing is told
        wait_for(lambda: all(len(database.ids(kind)) >= len(source.ids) for kind in KINDS), "rows", SETTLE_S)
    print(f"made: {len(source.ids)} of each kind, {source.deliveries} publishes with the repeated ones")
    for kind in KINDS:
        ids = database.ids(kind)
        wrong = len(set(source.ids) ^ set(ids))
        print(f"{kind}: {len(ids)} rows, {len(ids) - len(set(ids))} twice, {wrong} missing or foreign")
    rejected = database.execute("SELECT count(*) FROM rejected")[0][0]
    print(f"rejected: {rejected}")
    print(f"all rows there {time.monotonic() - stopped_s:.0f} s after the last message")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.fleet.archive", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--boxes", type=int, default=20)
    parser.add_argument("--rate-hz", type=float, default=20, help="messages of each kind per second, by all boxes")
    parser.add_argument("--kill-s", type=float, default=20, help="time between two workers that are killed")
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    run(args.seconds, boxes=args.boxes, rate_hz=args.rate_hz, kill_s=args.kill_s, workers=args.workers)


if __name__ == "__main__":
    main()
