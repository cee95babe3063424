"""The web server of the technician's page: HTTPS, few connections, silent ones closed, errors at the start."""

from __future__ import annotations

import asyncio
import http.client
import json
import shutil
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("uvicorn", reason="needs a web server; install edged[panel]")

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from edged.config.tree import Config
from edged.errors import CommandRejected, ConfigError
from edged.panel import server
from edged.panel.aiming import Aiming
from edged.panel.guard import Guard
from edged.panel.routes import _endpoint
from edged.panel.server import PanelServer
from tests.support.certs import openssl
from tests.support.waiting import until

TOKEN = "a-token-of-the-tests"
LIMIT_S = 60.0

Start = Callable[..., PanelServer]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A certificate that signs itself, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed (apt-get install openssl)")
    at = tmp_path_factory.mktemp("pair")
    made = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=box")
    openssl(*made, "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem", at=at)
    return {"cert": str(at / "cert.pem"), "key": str(at / "key.pem")}


@pytest.fixture
def start() -> Iterator[Start]:
    """Start the server of an empty page with these keys of `[panel]`."""
    running: list[PanelServer] = []

    def begin(**panel: Any) -> PanelServer:
        config = Config.model_validate({"panel": {"enabled": True, "port": 0, "token": TOKEN, **panel}})
        aiming = Aiming({}, lambda: None, lambda t_ns: 0)
        running.append(PanelServer(config, Guard(JSONResponse({"reached": True}), config.panel), aiming))
        running[-1].start()
        return running[-1]

    yield begin
    for one in running:
        one.close()
        until(partial(one._thread.join, 0.1), LIMIT_S)


def connect(page: PanelServer, pair: dict[str, str]) -> http.client.HTTPSConnection:
    context = ssl.create_default_context(cafile=pair["cert"])
    return http.client.HTTPSConnection("127.0.0.1", page.port, timeout=LIMIT_S, context=context)


def test_page_is_served_over_tls_and_keeps_its_session(start: Start, pair: dict[str, str]) -> None:
    client = connect(start(**pair), pair)
    origin = {"origin": f"https://127.0.0.1:{client.port}", "content-type": "application/json"}
    client.request("POST", "/api/login", json.dumps({"token": TOKEN}), origin)
    answer = client.getresponse()
    cookie = answer.headers["set-cookie"]
    assert (answer.status, answer.read()) == (200, b"{}")
    assert cookie.startswith("__Host-edged=")
    assert "server" not in answer.headers
    client.request("GET", "/api/status", headers={"cookie": cookie.partition(";")[0]})
    assert json.loads(client.getresponse().read()) == {"reached": True}
    client.close()


def test_plain_http_gets_nothing_from_a_page_with_a_certificate(start: Start, pair: dict[str, str]) -> None:
    client = http.client.HTTPConnection("127.0.0.1", start(**pair).port, timeout=LIMIT_S)
    client.request("GET", "/")
    with pytest.raises((http.client.HTTPException, OSError)):
        client.getresponse()
    client.close()


def test_connection_that_says_nothing_is_closed(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "SILENT_S", 0.2)
    with socket.create_connection(("127.0.0.1", start().port), LIMIT_S) as silent:
        assert silent.recv(1) == b""


def test_more_connections_than_allowed_are_closed_at_once(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 2)
    page = start()
    open_ones = [socket.create_connection(("127.0.0.1", page.port), LIMIT_S) for _ in range(3)]
    open_ones[2].settimeout(LIMIT_S)
    with suppress(ConnectionResetError):
        assert open_ones[2].recv(1) == b""
    for one in open_ones:
        one.close()


def test_taken_port_is_an_error_of_the_configuration(start: Start) -> None:
    with pytest.raises(ConfigError) as caught:
        start(port=start().port)
    assert caught.value.code == "port-unavailable"


@pytest.mark.parametrize(
    ("panel", "code"),
    [({"token": ""}, "panel-token"), ({"host": "0.0.0.0"}, "panel-tls")],
)
def test_page_without_token_or_certificate_does_not_start(start: Start, panel: dict[str, str], code: str) -> None:
    with pytest.raises(ConfigError) as caught:
        start(**panel)
    assert caught.value.code == code


def test_certificate_that_cannot_be_used_is_named(start: Start, pair: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text("no certificate")
    with pytest.raises(ConfigError, match=r"cert\.pem"):
        start(cert=str(tmp_path / "cert.pem"), key=pair["key"])


def test_rejection_says_what_would_have_been_taken() -> None:
    def page(names: object, body: object) -> Response:
        raise CommandRejected("camera", got="'b'", wanted="one of a", do="reload the page")

    async def ask() -> Response:
        return await _endpoint(page)(Request({"type": "http", "method": "GET", "query_string": b""}))

    answer = asyncio.run(ask())
    assert answer.status_code == 409
    assert b"camera: got 'b'; want one of a; reload the page" in bytes(answer.body)
