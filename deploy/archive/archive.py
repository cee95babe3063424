#!/usr/bin/env python3
"""A worker that takes states, totals and alerts of all boxes from a NATS cluster into PostgreSQL, each once.

As many as wanted run beside each other, on any machines: they share three queues, which the cluster keeps meanwhile.
A message is acknowledged once its row is committed; one that is delivered again has an id that its device had already.
With `--poses DIR`, poses too, some of them, into Parquet files.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import re
import signal
import ssl
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

import nats
import psycopg
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig
from nats.js.client import JetStreamContext
from nats.js.errors import NotFoundError
from psycopg.types.json import Jsonb

log = logging.getLogger("archive")

KINDS = ("state", "daily", "alert")
STREAM = "$MQTT_msgs"  # where NATS keeps MQTT messages of QoS 1 until all that want them have them
BATCH = 200
FETCH_S = 5.0  # longest wait for a message
RETRY_S = 1.0
INSERT = {
    kind: f"INSERT INTO {kind} (id, device, camera, ts, body) VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"  # noqa: S608  ours
    for kind in KINDS
}
REJECT = "INSERT INTO rejected (subject, reason, payload) VALUES (%s, %s, %s)"
POSES_PER_FILE = 20_000
MAX_CAMERAS = 64  # of a box whose poses are sampled: it may write whatever name below its own
MAX_TS_MS = 1 << 53  # Parquet's whole numbers end: one that is larger would take its whole file with it
# What one message can raise for ever: the database refuses its text, its key is too long, it is nested too deep.
UNSTORABLE = (psycopg.DataError, psycopg.errors.ProgramLimitExceeded, RecursionError, UnicodeError)


class Row(NamedTuple):
    """A row of one of the three tables."""

    id: str
    device: str
    camera: str
    ts: datetime
    body: Jsonb


def row(subject: str, payload: bytes) -> Row:
    """The row of a message of `edged.<device>.cam.<camera>.<kind>`. Raises ValueError for one that is none."""
    device, _, camera, kind = subject.rsplit(".", 4)[-4:]
    if b"\\u0000" in payload:
        raise ValueError("a text with a zero character, which PostgreSQL does not keep")
    body = json.loads(payload)
    known = (body.get("id"), body.get("ts")) if isinstance(body, dict) else ("", None)
    if not isinstance(known[0], str) or not known[0] or type(known[1]) is not int:  # true is an int, too
        raise ValueError("want a JSON object with id, a text, and ts, in ms")
    if kind == "daily":  # the view `day` reads both of every row
        if not re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", date := str(body.get("date"))):
            raise ValueError(f"date = {date!r}: want one as 2026-11-30")
        datetime.strptime(date, "%Y-%m-%d")
        if not isinstance(body.get("closed"), bool):
            raise ValueError("want closed, true or false")
    try:
        at = datetime.fromtimestamp(body["ts"] / 1000, timezone.utc)
    except (OverflowError, OSError) as exc:
        raise ValueError(f"ts = {body['ts']}: {exc}") from exc
    return Row(body["id"], device, camera, at, Jsonb(body))


async def store(database: psycopg.AsyncConnection[Any], kind: str, messages: Sequence[Msg]) -> None:
    """Commit all of them: what cannot be read goes to `rejected`. Raises `UNSTORABLE` and psycopg.OperationalError."""
    rows, rejects = [], []
    for message in messages:
        try:
            rows.append(row(message.subject, message.data))
        except ValueError as error:
            log.warning("%r: %s; see the table rejected", message.subject, error)
            rejects.append((message.subject, str(error), message.data))
    async with database.transaction(), database.cursor() as cursor:
        await cursor.executemany(INSERT[kind], rows)
        await cursor.executemany(REJECT, rejects)


async def bind(queues: JetStreamContext, kind: str, ack_wait_s: float) -> JetStreamContext.PullSubscription:
    """The queue of one kind of message, made if need be; one that exists keeps its settings, and a warning says so."""
    name = f"edged-{kind}"
    config = ConsumerConfig(
        durable_name=name,
        filter_subject=f"$MQTT.msgs.edged.*.cam.*.{kind}",
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=ack_wait_s,
        max_ack_pending=20 * BATCH,
    )
    try:  # asked for first: of one that exists, NATS 2.9 may never answer that it is made again
        kept = (await queues.consumer_info(STREAM, name)).config
        for key in ("filter_subject", "ack_wait", "max_ack_pending"):
            if getattr(kept, key) != getattr(config, key):
                text = "the queue %s was made with %s %r, which stays: wanted %r; delete the queue to change it"
                log.warning(text, name, key, getattr(kept, key), getattr(config, key))
    except NotFoundError:
        await queues.add_consumer(STREAM, config)
    return await queues.pull_subscribe_bind(consumer=name, stream=STREAM)


async def take(queues: JetStreamContext, kind: str, database_url: str, ack_wait_s: float) -> None:
    """Take one kind of message, for ever."""
    queue = await bind(queues, kind, ack_wait_s)
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True, connect_timeout=5) as database:
        log.info("%s: taken from the queue edged-%s", kind, kind)
        while True:
            with suppress(asyncio.TimeoutError, nats.errors.TimeoutError):
                messages = await queue.fetch(BATCH, timeout=FETCH_S)
                try:
                    await store(database, kind, messages)
                except UNSTORABLE as error:  # one of them: each by itself, so that the others go on
                    log.warning("%s: %s; see the table rejected", kind, error)
                    await store_each(database, kind, messages)
                await asyncio.gather(*(message.ack() for message in messages))


async def store_each(database: psycopg.AsyncConnection[Any], kind: str, messages: Sequence[Msg]) -> None:
    """Commit each by itself, and in `rejected` what cannot be stored. Raises psycopg.OperationalError."""
    for message in messages:
        try:
            await store(database, kind, [message])
        except UNSTORABLE as error:
            async with database.transaction():
                await database.execute(REJECT, (message.subject, str(error), message.data))


async def again_and_again(step: Callable[[], Awaitable[None]], what: str) -> None:
    """Run `step`, and once more when the cluster or the database fails; what it held is delivered again."""
    while True:
        try:
            await step()
        except (psycopg.OperationalError, NatsError, OSError, asyncio.TimeoutError) as error:
            log.warning("%s: %s; again in %g s", what, str(error).strip() or type(error).__name__, RETRY_S)
        await asyncio.sleep(RETRY_S)


class Cluster(Client):
    """Goes on whatever topic a box chose below its own name: nats-py reads no more after one that is no UTF-8."""

    def _build_message(self, sid: int, subject: bytes, *rest: Any) -> Any:
        return super()._build_message(sid, subject.decode(errors="backslashreplace").encode(), *rest)


class PoseFiles:
    """Samples of poses: at most one of each camera in `every_s`, in one file after the other below `folder`."""

    def __init__(self, folder: Path, every_s: float) -> None:
        import pyarrow  # noqa: PLC0415  only where poses are wanted
        import pyarrow.parquet  # noqa: PLC0415

        self._arrow = pyarrow
        self._folder, self._every_s = folder, every_s
        self._taken_s: dict[str, dict[str, float]] = {}  # by device and camera, the latest last
        self._rows: list[dict[str, Any]] = []

    async def take(self, message: Msg) -> None:
        """Keep the message's sample, if it is time for one of its camera; what cannot be read is logged."""
        device, _, camera, _ = message.subject.rsplit(".", 4)[-4:]
        if not self._is_time(device, camera, time.monotonic()):
            return
        try:
            body = json.loads(message.data)
            ts, subjects = int(body["ts"]), json.dumps(body["subjects"])
            if not 0 <= ts < MAX_TS_MS:
                raise ValueError(f"ts = {ts}")
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            log.warning("%r: no poses that can be read: %.200s", message.subject, error)
            return
        self._rows.append({"device": device, "camera": camera, "ts": ts, "subjects": subjects})
        if len(self._rows) >= POSES_PER_FILE:
            self.write()

    def _is_time(self, device: str, camera: str, now_s: float) -> bool:
        """Whether a sample of this camera is due. A box that names more cameras than one has gets none for the rest."""
        taken = self._taken_s.setdefault(device, {})
        if camera not in taken and len(taken) >= MAX_CAMERAS and now_s - next(iter(taken.values())) >= self._every_s:
            del taken[next(iter(taken))]
        if (camera in taken and now_s - taken[camera] < self._every_s) or len(taken.keys() | {camera}) > MAX_CAMERAS:
            return False
        taken.pop(camera, None)
        taken[camera] = now_s
        return True

    def write(self) -> None:
        """Write what waits; a file appears when it is whole. What cannot be written is logged, and gone."""
        if not self._rows:
            return
        begun, self._rows = self._rows, []
        table = self._arrow.Table.from_pylist(begun)
        file = self._folder / f"poses-{begun[0]['ts']}-{time.time_ns()}.parquet"
        part = file.with_suffix(".part")
        try:
            self._arrow.parquet.write_table(table, part, compression="zstd")
            part.rename(file)
        except OSError as error:
            log.warning("%s: %s; %d samples of poses are lost", file, error, len(begun))
            with suppress(OSError):
                part.unlink(missing_ok=True)


async def log_error(error: Exception) -> None:
    log.warning("cluster: %s", str(error).strip() or type(error).__name__)


async def main() -> None:
    args = arguments()
    poses = PoseFiles(args.poses, args.every) if args.poses else None
    work = asyncio.create_task(run(args, poses))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, work.cancel)  # also while there is no cluster yet
    try:
        with suppress(asyncio.CancelledError):
            await work
    finally:
        if poses is not None:
            poses.write()


async def run(args: argparse.Namespace, poses: PoseFiles | None) -> None:
    """Take from all queues, until it is cancelled or an error comes that no retry mends, which is raised."""
    cluster = Cluster()
    await cluster.connect(
        args.nats.split(","),
        user=args.user,
        password=args.password_file.read_text().strip(),
        tls=ssl.create_default_context(cafile=args.ca),
        max_reconnect_attempts=-1,
        reconnect_time_wait=round(RETRY_S),
        connect_timeout=20,
        error_cb=log_error,
    )
    queues = cluster.jetstream()
    tasks = [
        asyncio.create_task(again_and_again(lambda kind=kind: take(queues, kind, args.database, args.ack_wait), kind))
        for kind in KINDS
    ]
    try:
        if poses is not None:
            await cluster.subscribe("edged.*.cam.*.poses", queue="edged-poses", cb=poses.take)
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await cluster.close()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nats", required=True, metavar="URL,URL", help="tls://10.0.0.11:4222,… of all nodes")
    parser.add_argument("--user", default="archive")
    parser.add_argument("--password-file", type=Path, required=True)
    parser.add_argument("--ca", type=Path, required=True, help="CA certificate of the cluster")
    parser.add_argument("--database", required=True, metavar="URL", help="postgresql://…")
    parser.add_argument("--ack-wait", type=float, default=30, help="s until another worker has it; of new queues")
    parser.add_argument("--poses", type=Path, metavar="DIR", help="write samples of poses there; needs pyarrow")
    parser.add_argument("--every", type=float, default=10, metavar="S", help="one of each camera in so many s")
    return parser.parse_args()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    asyncio.run(main())
