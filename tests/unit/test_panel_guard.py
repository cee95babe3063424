"""What stands before every request to the technician's page."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from typing import Any

import pytest

pytest.importorskip("starlette", reason="needs starlette; install edged[panel]")

from starlette.responses import JSONResponse
from starlette.types import Message

from edged.config.tables.panel import PanelConfig
from edged.panel.auth import FREE_TRIES
from edged.panel.guard import MAX_BODY_BYTES, Guard

TOKEN = "a-token-of-the-tests"
HOST = "10.0.0.5:8443"


def guard() -> Guard:
    settings = PanelConfig.model_validate({"enabled": True, "token": TOKEN, "allowed_hosts": ["barn.example"]})
    return Guard(JSONResponse({"reached": True}), settings, lambda: 1000.0, lambda: 50.0)


def ask(
    app: Guard,
    path: str = "/api/status",
    *,
    method: str = "GET",
    scheme: str = "https",
    body: bytes = b"",
    **headers: str,
) -> tuple[int, Mapping[str, str], Any]:
    """Status, headers and JSON of the answer to a request; `_` in a header's name stands for `-`."""
    given = {"host": HOST, **{name.replace("_", "-"): value for name, value in headers.items()}}
    scope = {
        "type": "http",
        "method": method,
        "scheme": scheme,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in given.items()],
        "client": ("10.0.0.9", 5000),
        "server": ("10.0.0.5", 8443),
    }
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    answer = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], answer, json.loads(sent[1]["body"])


def log_in(app: Guard, token: str = TOKEN, *, scheme: str = "https") -> tuple[int, Mapping[str, str], Any]:
    return post(app, "/api/login", json.dumps({"token": token}).encode(), scheme=scheme)


def post(
    app: Guard, path: str, body: bytes, *, scheme: str = "https", **headers: str
) -> tuple[int, Mapping[str, str], Any]:
    usual = {"origin": f"{scheme}://{HOST}", "content_type": "application/json", "content_length": str(len(body))}
    return ask(app, path, method="POST", body=body, scheme=scheme, **(usual | headers))


def cookie(answer: Mapping[str, str]) -> str:
    return answer["set-cookie"].partition(";")[0]


@pytest.mark.parametrize(
    "path", ["/api/status", "/api/cameras/a/frame", "/api/alerts", "/api/log", "/other", "/static"]
)
def test_nothing_is_reached_without_a_session(path: str) -> None:
    assert ask(guard(), path)[0] == 401


@pytest.mark.parametrize("path", ["/", "/static/app.js"])
def test_page_itself_says_nothing_and_is_open(path: str) -> None:
    assert ask(guard(), path)[0] == 200


def test_session_of_the_token_reaches_everything() -> None:
    app = guard()
    status, answer, _ = log_in(app)
    assert status == 200
    assert ask(app, cookie=cookie(answer))[2] == {"reached": True}
    assert all(part in answer["set-cookie"] for part in ("__Host-edged=", "HttpOnly", "SameSite=strict", "Secure"))


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1/static/x?", "10.0.0.5@evil.example", ""])
def test_other_host_is_refused_whatever_it_asks_for(host: str) -> None:
    assert ask(guard(), "/", host=host)[0] == 421
    assert ask(guard(), host=host)[0] == 421


@pytest.mark.parametrize("host", ["barn.example", "BARN.example:8443", "[fe80::1]:8443", "localhost:8443"])
def test_own_names_are_answered(host: str) -> None:
    assert ask(guard(), "/", host=host)[0] == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec_fetch_site": "cross-site"}, 403),
        ({"content_type": "text/plain"}, 413),
        ({"content_length": str(MAX_BODY_BYTES + 1)}, 413),
        ({"content_length": "-1"}, 413),
        ({"content_length": ""}, 413),
    ],
)
def test_change_from_elsewhere_or_too_large_is_refused(headers: dict[str, str], status: int) -> None:
    app = guard()
    session = cookie(log_in(app)[1])
    assert post(app, "/api/undo", b"{}", cookie=session)[0] == 200
    assert post(app, "/api/undo", b"{}", cookie=session, **headers)[0] == status


def test_picture_is_not_shown_inside_another_site() -> None:
    app = guard()
    session = cookie(log_in(app)[1])
    assert ask(app, "/api/cameras/a/frame", cookie=session, sec_fetch_site="cross-site")[0] == 403
    assert ask(app, "/api/cameras/a/frame", cookie=session, sec_fetch_site="same-origin")[0] == 200


def test_wrong_tokens_wait_and_are_never_logged(caplog: pytest.LogCaptureFixture) -> None:
    app = guard()
    with caplog.at_level(logging.DEBUG):
        answers = [log_in(app, f"wrong-secret-{number}") for number in range(FREE_TRIES + 1)]
    assert [status for status, *_ in answers] == [403] * FREE_TRIES + [429]
    assert int(answers[-1][1]["retry-after"]) >= 1
    assert log_in(app)[0] == 429
    assert "10.0.0.9" in caplog.text
    assert "wrong-secret" not in caplog.text


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"token": 1}', b'{"token": "\\ud800"}', b"[" * 50_000])
def test_body_that_is_no_login_is_a_wrong_token(body: bytes) -> None:
    assert post(guard(), "/api/login", body)[0] == 403


def test_logout_removes_the_cookie() -> None:
    app = guard()
    answer = post(app, "/api/logout", b"{}", cookie=cookie(log_in(app)[1]))[1]
    assert "Max-Age=0" in answer["set-cookie"]
    assert "Secure" in answer["set-cookie"]


def test_every_answer_forbids_inline_scripts_frames_and_caches() -> None:
    for _, answer, _ in (ask(guard(), "/"), ask(guard()), ask(guard(), host="evil.example")):
        policy = answer["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer["cache-control"] == "no-store"
        assert answer["x-content-type-options"] == "nosniff"
