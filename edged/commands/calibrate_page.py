"""A page on loopback on which a stall is drawn by clicking. Upstream: `edged calibrate --page`. Downstream: a browser.

Whoever knows its address may use it: the address has a token that only the terminal shows.
"""

from __future__ import annotations

import argparse
import json
import secrets
import socket
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from edged.commands.stall_drawing import camera_height, drawn_stall, errors_in_image, stall_toml, write_stall
from edged.config.tables.stall import StallConfig
from edged.drawing.image_file import encode_jpeg
from edged.errors import ConfigError, NotWritten
from edged.frame import U8

HOST = "127.0.0.1"
POLL_S = 0.5  # between looks whether the drawing is saved
IDLE_S = 2.0  # a browser that opens a connection and sends nothing is disconnected after this
MAX_BODY = 1 << 16  # bytes of a drawing
MAX_JPEG = 1 << 24
KEYS = ("floor", "floor_m", "open_sides", "zones")
NAMES = {"floor": "floor", "floor_m": "size", "open_sides": "open sides"}
HEADERS = (
    ("Cache-Control", "no-store"),
    (
        "Content-Security-Policy",
        "default-src 'none'; img-src 'self'; script-src 'self'; connect-src 'self'; style-src 'unsafe-inline'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
)
FILES = {"": ("calibrate.html", "text/html"), "calibrate.js": ("calibrate.js", "text/javascript")}

Response = tuple[str, str, bytes]  # status, content type, body


def drawing_of(stall: StallConfig) -> dict[str, Any]:
    """What a configured stall has of a drawing."""
    values: dict[str, Any] = stall.model_dump(mode="json", include=set(KEYS))
    return values


def serve(camera: str, image: U8, drawn: Mapping[str, Any], args: argparse.Namespace) -> int:
    """Serve the page until the drawing is saved. Raises `ConfigError` when the port is not free."""
    page = Page(camera, image, drawn, args.write)
    try:
        server = make_server(HOST, args.port, page, _Server, _Handler)
    except (OSError, OverflowError) as exc:
        raise ConfigError(f"--port {args.port}: cannot listen on {HOST}: {exc}; choose a free one") from exc
    server.timeout = POLL_S
    with server:
        port = server.server_port
        print(f"Draw the stall in a browser, and save it there; Ctrl-C gives up:\n  http://{HOST}:{port}/{page.token}/")
        tunnel = f"ssh -L {port}:{HOST}:{port} {socket.gethostname()}"
        print(f"From another machine, type this there first, and leave it open:\n  {tunnel}", flush=True)
        while page.saved is None:
            server.handle_request()
    print(page.saved, end="")
    return 0


class Page:
    """The WSGI application. `saved`: what is to be printed once the drawing is saved."""

    def __init__(self, camera: str, image: U8, drawn: Mapping[str, Any], file: Path | None) -> None:
        self.token = secrets.token_urlsafe(16)
        self.saved: str | None = None
        self._camera, self._file, self._drawn = camera, file, drawn
        self._size_wh = image.shape[1], image.shape[0]
        self._jpeg, _ = encode_jpeg(image, MAX_JPEG)

    def __call__(self, environ: Mapping[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
        status, kind, body = self._respond(environ)
        start_response(status, [("Content-Type", kind), ("Content-Length", str(len(body))), *HEADERS])
        return [body]

    def _respond(self, environ: Mapping[str, Any]) -> Response:
        _, token, *rest = str(environ["PATH_INFO"]).split("/")
        path = "/".join(rest)
        if not rest or not secrets.compare_digest(token.encode(), self.token.encode()):
            return "404 Not Found", "text/plain", b"no page here; open the address that edged calibrate printed\n"
        if environ["REQUEST_METHOD"] == "POST" and path in ("check", "save"):
            return self._answer(environ, save=path == "save")
        if path in FILES:
            name, kind = FILES[path]
            return "200 OK", f"{kind}; charset=utf-8", Path(__file__).with_name(name).read_bytes()
        if path == "image.jpg":
            return "200 OK", "image/jpeg", self._jpeg
        if path == "drawing.json":
            return _json({**self._drawn, "camera": self._camera})
        return "404 Not Found", "text/plain", b"not found\n"

    def _answer(self, environ: Mapping[str, Any], *, save: bool) -> Response:
        try:
            drawn = _read_drawing(environ)
        except (ValueError, RecursionError):
            return "400 Bad Request", "text/plain", b"want a drawing as JSON\n"
        try:
            return _json(self._result(drawn, save=save))
        except (ConfigError, NotWritten) as exc:
            return _json({"errors": str(exc).split("\n")})

    def _result(self, drawn: Mapping[str, Any], *, save: bool) -> dict[str, Any]:
        """What is wrong with the drawing; else its TOML. Raises `ConfigError` and `NotWritten`."""
        if not drawn.get("floor") and not drawn.get("zones"):
            return {"errors": ["nothing is drawn yet: click the corners of the floor"]}
        stall = drawn_stall(drawn, NAMES, "")
        if errors := errors_in_image(stall, self._size_wh):
            return {"errors": errors}
        text = stall_toml(self._camera, stall)
        if save:
            self._save(text)
        height = camera_height(stall, self._size_wh)
        return {"errors": [], "toml": text, "height": height, "file": str(self._file) if self._file else None}

    def _save(self, text: str) -> None:
        if self._file is None:
            self.saved = f"# Copy these lines into the configuration:\n{text}"
            return
        write_stall(self._file, text)
        self.saved = f"{self._file}  has the stall; next: edged check, then systemctl reload edged\n"


def _read_drawing(environ: Mapping[str, Any]) -> dict[str, Any]:
    """The drawn keys of a request's body. Raises ValueError, RecursionError."""
    length = int(environ.get("CONTENT_LENGTH") or 0)
    if not 0 < length <= MAX_BODY:
        raise ValueError("size of the body")
    body = json.loads(environ["wsgi.input"].read(length))
    if not isinstance(body, dict) or not isinstance(body.get("zones", {}), dict):
        raise ValueError("not a drawing")
    return {key: body[key] for key in KEYS if body.get(key)}


def _json(values: Mapping[str, Any]) -> Response:
    return "200 OK", "application/json", json.dumps(values).encode()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = False  # the answer to `save` is sent before the command ends

    def handle_error(self, *_: object) -> None:
        """A browser went away, or sent nothing; errors of the page itself are logged by wsgiref."""


class _Handler(WSGIRequestHandler):
    timeout = IDLE_S

    def log_message(self, *_: object) -> None:
        """Requests are not logged: the terminal shows the address, and then the result."""
