"""Serves the page: uvicorn in a thread of its own, HTTPS, few connections, silent ones closed.

Upstream: the daemon. Downstream: browsers.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from edged.config.tables.panel import PanelConfig
from edged.config.tree import Config
from edged.daemon import Daemon
from edged.errors import ConfigError
from edged.panel.aiming import Aiming
from edged.panel.guard import Guard
from edged.panel.live_view import LiveView
from edged.panel.routes import Pages, application
from edged.panel.tls import page_context
from edged.runtime.threads import SupervisedThread

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 32  # at a time; more are closed: a browser opens six
SILENT_S = 10.0  # a connection without a whole request is closed after this
JOIN_S = 4.0
PROGRESS_TICKS = 10  # of uvicorn's, a tenth of a second each


@contextmanager
def serving(config: Config, daemon: Daemon) -> Iterator[PanelServer]:
    """The page of a daemon, from now to the end of the block. Raises ConfigError when it cannot be served."""
    parts = daemon.parts
    aiming = Aiming(parts.state.aiming_until_ms, daemon.publish_info, parts.headers.utc_ms)
    live = LiveView(
        parts.draw,
        lambda name: name not in daemon.config.cameras or daemon.config.cameras[name].hides_people,
        config.panel.max_rate_hz,
    )
    guard = Guard(application(Pages(daemon, live, aiming)), config.panel)
    server = PanelServer(config, guard, aiming)
    daemon.add_sink(live.on_result)
    live.start()
    server.start()
    try:
        yield server
    finally:
        live.close()
        server.close()


class PanelServer:
    """Listens from its making on. Raises ConfigError: no token, no certificate, or the port is taken."""

    def __init__(self, config: Config, app: ASGIApp, aiming: Aiming) -> None:
        self._settings = config.panel
        self._app = app
        self._aiming = aiming
        if not config.panel.token.get_secret_value():
            text = (
                "panel.token: is empty; run `edged provision FILE`, which makes one, or give it 16 characters or more"
            )
            raise ConfigError(text, "panel-token")
        self._tls = page_context(config)
        self._socket: socket.socket | None = _listen(config.panel)
        self.port = int(self._socket.getsockname()[1])
        self._server: uvicorn.Server | None = None
        self._thread = SupervisedThread("panel", self._step)

    def start(self) -> None:
        self._thread.start()
        scheme = "http" if self._tls is None else "https"
        log.info("the technician's page is at %s://%s:%d/", scheme, self._settings.host, self.port)

    def close(self) -> None:
        self._thread.stop()
        if self._server is not None:
            self._server.should_exit = True
        self._thread.join(JOIN_S)

    def _step(self) -> None:
        """Serve until `close`."""
        listening = self._socket or _listen(self._settings)
        self._socket = None
        config = uvicorn.Config(
            self._app,
            loop="asyncio",
            http=_LimitedProtocol,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            log_level=logging.WARNING,
            access_log=False,
            proxy_headers=False,  # an address that a client claims is no address
            server_header=False,
            limit_concurrency=MAX_CONNECTIONS,
            backlog=MAX_CONNECTIONS,
            timeout_graceful_shutdown=1,
            ssl_context_factory=None if (tls := self._tls) is None else lambda *_: tls,
        )
        self._server = _WatchedServer(config, self._thread, self._aiming)
        try:
            if not self._thread.stopping.is_set():
                self._server.run(sockets=[listening])
        except SystemExit as exc:  # uvicorn's way to say that it cannot start
            raise RuntimeError(f"uvicorn ended with {exc.code}") from exc
        finally:
            listening.close()


class _WatchedServer(uvicorn.Server):
    """Reports that it goes round; `callback_notify` would stop where the wall clock is set back."""

    def __init__(self, config: uvicorn.Config, thread: SupervisedThread, aiming: Aiming) -> None:
        super().__init__(config)
        self._thread = thread
        self._aiming = aiming

    async def on_tick(self, counter: int) -> bool:
        if counter % PROGRESS_TICKS == 0:
            self._thread.progress()
            await asyncio.to_thread(self._aiming.expire)
        return await super().on_tick(counter) or self._thread.stopping.is_set()


class _LimitedProtocol(H11Protocol):
    """A client that opens many connections, or says nothing, takes no descriptor from the cameras."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            transport.abort()
        else:
            self.loop.call_later(SILENT_S, self._close_silent)

    def _close_silent(self) -> None:
        if self.cycle is None:  # no request has come
            self.transport.abort()


def _listen(settings: PanelConfig) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=MAX_CONNECTIONS)
    except (OSError, OverflowError) as exc:
        text = (
            f"panel.port = {settings.port}: cannot listen on {settings.host}: {exc}; choose a free port and an address"
        )
        raise ConfigError(f"{text} of this machine, or switch the page off", "port-unavailable") from exc
