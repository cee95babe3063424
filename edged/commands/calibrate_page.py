"""A page on loopback on which one picture is drawn on, with the script of the technician's page.

Upstream: `edged calibrate --page`. Downstream: a browser.
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

import edged.panel
from edged.behaviour.horse.ground_plane import floor_measures
from edged.commands.stall_drawing import write_drawing
from edged.config.drawing import Drawing, Values, camera_table, drawing_of, parse_drawing
from edged.config.load import config_from_options
from edged.config.tables.camera import CameraConfig
from edged.config.toml_text import dotted, dump
from edged.config_check import region_violations
from edged.drawing.image_file import encode_jpeg
from edged.errors import ConfigError, NotWritten
from edged.frame import U8

HOST = "127.0.0.1"
POLL_S = 0.5  # between looks whether the drawing is saved
IDLE_S = 2.0  # a browser that opens a connection and sends nothing is disconnected after this
MAX_BODY = 1 << 16  # bytes of a drawing
MAX_JPEG = 1 << 24
HEADERS = (
    ("Cache-Control", "no-store"),
    (
        "Content-Security-Policy",
        "default-src 'none'; img-src 'self'; script-src 'self'; connect-src 'self'; style-src 'self'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
)
OWN, SHARED = Path(__file__).parent, Path(edged.panel.__file__).with_name("static")
FILES = {
    "": (OWN / "calibrate.html", "text/html"),
    "calibrate.js": (OWN / "calibrate.js", "text/javascript"),
    "draw.js": (SHARED / "draw.js", "text/javascript"),
    "kit.js": (SHARED / "kit.js", "text/javascript"),
    "style.css": (SHARED / "style.css", "text/css"),
}

Response = tuple[str, str, bytes]  # status, content type, body
NO_ICON: Response = ("204 No Content", "image/x-icon", b"")  # every browser asks for one


def serve(camera: str, settings: CameraConfig, image: U8, drawn: Values, args: argparse.Namespace) -> int:
    """Serve the page over the image (H, W, 3) BGR until the drawing is saved.

    It begins with the drawing of `settings`, and with `drawn` over it. Raises `ConfigError` when the port is not free.
    """
    page = Page(camera, settings, image, drawn, args.write)
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
    """The WSGI application over an image (H, W, 3) BGR. `saved`: what is to be printed once the drawing is saved."""

    def __init__(self, camera: str, settings: CameraConfig, image: U8, drawn: Values, file: Path | None) -> None:
        self.token = secrets.token_urlsafe(16)
        self.saved: str | None = None
        self._camera, self._settings, self._file = camera, settings, file
        self._drawn = {**drawing_of(settings).model_dump(mode="json"), "stall": True, **drawn}
        self._size_wh = image.shape[1], image.shape[0]
        self._jpeg, _ = encode_jpeg(image, MAX_JPEG)

    def __call__(self, environ: Mapping[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
        status, kind, body = NO_ICON if environ["PATH_INFO"] == "/favicon.ico" else self._respond(environ)
        start_response(status, [("Content-Type", kind), ("Content-Length", str(len(body))), *HEADERS])
        return [body]

    def _respond(self, environ: Mapping[str, Any]) -> Response:
        token, slash, path = str(environ["PATH_INFO"]).removeprefix("/").partition("/")
        if not slash or not secrets.compare_digest(token.encode(), self.token.encode()):
            return "404 Not Found", "text/plain", b"no page here; open the address that edged calibrate printed\n"
        if environ["REQUEST_METHOD"] == "POST" and path == "drawing":
            return self._answer(environ)
        if path in FILES:
            file, kind = FILES[path]
            return "200 OK", f"{kind}; charset=utf-8", file.read_bytes()
        if path == "image.jpg":
            return "200 OK", "image/jpeg", self._jpeg
        if path == "drawing.json":
            return _json({"camera": self._camera, "drawing": self._drawn, "size": self._size_wh, "undo": False})
        return "404 Not Found", "text/plain", b"not found\n"

    def _answer(self, environ: Mapping[str, Any]) -> Response:
        try:
            body = _read_body(environ)
        except (OSError, ValueError, RecursionError):  # OSError: it has not come in time
            return "400 Bad Request", "text/plain", b"want a drawing as JSON\n"
        save = body.pop("save", False) is True
        try:
            return _json(self._result(parse_drawing(body), save=save))
        except (ConfigError, NotWritten) as exc:
            return _json(_found(str(exc).split("\n")))

    def _result(self, drawing: Drawing, *, save: bool) -> Values:
        """What is wrong with the drawing; else its TOML. Raises `ConfigError` and `NotWritten`."""
        if not (drawing.floor or drawing.zones or drawing.masks or drawing.beds or drawing.roi):
            return _found(["nothing is drawn yet: click the corners of the floor"])
        table = camera_table(drawing, self._size_wh, self._settings)
        key = ("cameras", self._camera)
        camera = config_from_options({"cameras": {self._camera: {"source": "0", **table}}}, {}).cameras[self._camera]
        violations = region_violations(key, camera, self._size_wh)
        if problems := [f"{dotted(path[2:])}: {text}" for path, _, text in violations]:
            return _found(problems)
        text = dump({"cameras": {self._camera: table}})
        place = self._save(text) if save else None
        measures = floor_measures(drawing.floor, drawing.floor_m, self._size_wh)
        return {**_found([]), "toml": text, "measures": measures, "saved": save, "place": place}

    def _save(self, text: str) -> str:
        """Where it is now."""
        if self._file is None:
            self.saved = f"# Copy these lines into the configuration:\n{text}"
            return "the terminal has these lines"
        write_drawing(self._file, text)
        self.saved = f"{self._file}  has the drawing; next: edged check, then systemctl reload edged\n"
        return str(self._file)


def _found(problems: list[str]) -> Values:
    return {"problems": problems, "remarks": [], "measures": None, "saved": False}


def _read_body(environ: Mapping[str, Any]) -> Values:
    """The JSON object of a request's body. Raises OSError, ValueError, RecursionError."""
    length = int(environ.get("CONTENT_LENGTH") or 0)
    if not 0 < length <= MAX_BODY:
        raise ValueError("size of the body")
    body = json.loads(environ["wsgi.input"].read(length))
    if not isinstance(body, dict):
        raise ValueError("not a drawing")
    return body


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
