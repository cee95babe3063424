"""`/metrics` over HTTP, on loopback unless told otherwise. A thread of its own; it serves the latest health."""

from __future__ import annotations

import logging
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from edged.device.metrics import CONTENT_TYPE
from edged.errors import ConfigError
from edged.runtime.threads import SupervisedThread

log = logging.getLogger(__name__)

POLL_S = 0.5  # longest wait for a request, and for the end
IDLE_S = 5.0  # a client that says nothing is given up


class MetricsServer:
    """Serves what `text` returns."""

    def __init__(self, host: str, port: int, text: Callable[[], str]) -> None:
        """Raises ConfigError when the port cannot be had."""
        try:
            self._server = ThreadingHTTPServer((host, port), _responder(text))
        except (OSError, OverflowError) as exc:
            raise ConfigError(
                f"prometheus.port = {port}: cannot listen on {host}: {exc}; choose a free port, or switch it off"
            ) from exc
        self._server.daemon_threads = True
        self._server.timeout = POLL_S
        self._thread = SupervisedThread("prometheus", self._step)
        self._thread.start()
        log.info("metrics for Prometheus at http://%s:%d/metrics", host, self.port)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def close(self) -> None:
        self._thread.stop()
        self._thread.join(2 * POLL_S)
        self._server.server_close()

    def _step(self) -> float:
        self._server.handle_request()
        return 0.0


def _responder(text: Callable[[], str]) -> type[BaseHTTPRequestHandler]:
    class Responder(BaseHTTPRequestHandler):
        timeout = IDLE_S

        def do_GET(self) -> None:
            if self.path.partition("?")[0] != "/metrics":
                self.send_error(404, "want /metrics")
                return
            body = text().encode()
            self.send_response(200)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """A scrape every few seconds is no news."""

    return Responder
