"""A small MQTT 3.1.1 broker inside the daemon, on loopback, for trying things out: `edged run --embedded-broker`.

Runs amqtt in a thread of its own. Nothing is kept on disk, no password is asked for, a client that was away gets
nothing of what it missed, and shared subscriptions never receive anything: for work, use mosquitto.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from contextlib import suppress
from types import TracebackType
from typing import Any

from edged.errors import BrokerLost
from edged.runtime.threads import SupervisedThread

try:
    from amqtt.adapters import StreamReaderAdapter, StreamWriterAdapter
    from amqtt.broker import Broker
    from amqtt.session import Session
except ImportError:  # an extra
    Broker = Session = None
    StreamReaderAdapter = object

log = logging.getLogger(__name__)

HOST = "127.0.0.1"
DEFAULT_PORT = 1883
PROTOCOL, PROTOCOL_LEVEL = "3.1.1", 4  # no other
UNSUPPORTED_PROTOCOL = b"\x20\x02\x00\x01"  # CONNACK of 3.1.1, which clients of 5 understand
CONNECT_TIMEOUT_S = 5.0  # for a client's CONNECT
SETTINGS: dict[str, Any] = {
    "listeners": {"default": {"type": "external"}},
    "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
}
START_S = 10.0  # for the broker to listen
PROGRESS_S = 1.0  # between two signs of life to the supervisor
STOP_S = 5.0  # for its thread to end
CLIENT_STOP_S = 1.0  # for the clients' tasks to end


class EmbeddedBroker:
    """`with EmbeddedBroker() as broker: … broker.port`."""

    def __init__(self, port: int | None = None) -> None:
        """`port` None takes 1883, or any other when that is taken; 0 takes any. Raises BrokerLost without amqtt."""
        if Broker is None:
            raise BrokerLost("embedded broker: amqtt is not installed; in a clone: pip install '.[broker]'")
        self.host = HOST
        self.port = 0  # known once entered
        self._ports = (DEFAULT_PORT, 0) if port is None else (port,)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._error: Exception | None = None
        self._started = threading.Event()  # running, or failed to start
        self._thread = SupervisedThread("embedded-broker", self._step)

    def __enter__(self) -> EmbeddedBroker:
        """Raises BrokerLost when it cannot start."""
        self._thread.start()
        if not self._started.wait(START_S) or self._error is not None:
            reason = self._error or f"not ready after {START_S:g} s"
            raise BrokerLost(f"embedded broker on {HOST}:{self.port}: {reason}") from self._error
        log.info("embedded broker on %s:%d, MQTT 3.1.1; for trials: it keeps nothing on disk", HOST, self.port)
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.stop()
        if not self._thread.join(STOP_S):
            log.warning("embedded broker: did not stop within %g s; its thread is abandoned", STOP_S)

    def _step(self) -> None:
        """The broker from its start to its end; one that dies is started again at its port."""
        try:
            asyncio.run(self._serve())
        except Exception as error:  # amqtt documents none
            if self._started.is_set():
                self._ports = (self.port,)
                raise
            self._error = error
        finally:
            self._started.set()

    async def _serve(self) -> None:
        _silence_logs()
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        listener = _Listener(_new_broker())
        self.port = await listener.open(self._ports)
        self._started.set()
        try:
            while not self._stop.is_set():
                self._thread.progress()
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), PROGRESS_S)
        finally:
            await listener.close()


class _Listener:
    """Our own listening socket in front of amqtt, so that the port is known and every connection is closed."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._clients: dict[asyncio.Task[None] | None, asyncio.StreamWriter] = {}

    async def open(self, ports: tuple[int, ...]) -> int:
        """The first port that is free, on which it listens now."""
        await self._broker.start()
        for port in ports[:-1]:
            with suppress(OSError):
                return await self._listen(port)
        return await self._listen(ports[-1])

    async def _listen(self, port: int) -> int:
        self._server = await asyncio.start_server(self._handle_client, HOST, port)
        return int(self._server.sockets[0].getsockname()[1])

    async def _handle_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._clients[task] = writer
        try:
            first = await asyncio.wait_for(_read_level(reader), CONNECT_TIMEOUT_S)
            if first[-1] != PROTOCOL_LEVEL:  # amqtt would wait for more, and say nothing
                writer.write(UNSUPPORTED_PROTOCOL)
                await writer.drain()
                return
            adapters = _ReplayReader(first, reader), StreamWriterAdapter(writer)
            await self._broker.external_connected(*adapters, "default")
        except Exception as error:  # of one client; amqtt documents none
            log.debug("embedded broker: %s", error)
        finally:
            del self._clients[task]
            writer.close()

    async def close(self) -> None:
        self._server.close()
        await self._broker.shutdown()
        for writer in self._clients.values():
            writer.close()
        if tasks := [task for task in self._clients if task is not None]:
            await asyncio.wait(tasks, timeout=CLIENT_STOP_S)


class _ReplayReader(StreamReaderAdapter):  # type: ignore[misc]  # amqtt has no types
    """A reader that begins with bytes that were read before."""

    def __init__(self, first: bytes, reader: asyncio.StreamReader) -> None:
        super().__init__(reader)
        self._first = first

    async def read(self, n: int = -1) -> bytes:
        part, self._first = self._first[:n], self._first[n:]
        return part if len(part) == n else part + bytes(await super().read(n - len(part)))


async def _read_level(reader: asyncio.StreamReader) -> bytes:
    """The begin of a CONNECT, up to and with the protocol level. Raises IncompleteReadError."""
    first = await reader.readexactly(2)
    while first[-1] & 0x80:  # of the remaining length, a byte with more to follow
        first += await reader.readexactly(1)
    first += await reader.readexactly(2)
    return first + await reader.readexactly(int.from_bytes(first[-2:], "big") + 1)


def _new_broker() -> Broker:
    """amqtt's broker, which sends a client that connects whatever any client has subscribed to; this one does not."""

    class StrictBroker(Broker):  # type: ignore[misc]  # amqtt has no types
        async def _publish_retained_messages_for_subscription(
            self, subscription: tuple[str, int], session: Session
        ) -> None:
            if any(one is session for one, _ in self.subscriptions.get(subscription[0], ())):
                await super()._publish_retained_messages_for_subscription(subscription, session)

    return StrictBroker(SETTINGS)


def _silence_logs() -> None:
    """amqtt logs every client and packet, and a closed connection as an error."""
    for name in ("amqtt", "transitions"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
