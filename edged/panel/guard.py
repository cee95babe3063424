"""What stands before every request: the host it names, where it comes from, who sends it; and headers on every answer.

Upstream: uvicorn. Downstream: the routes.
"""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edged.config.tables.panel import PanelConfig
from edged.foreign_text import printable
from edged.panel.auth import SESSION_S, BrowserSessions, TryLimit, is_own_host, is_same_origin

log = logging.getLogger(__name__)

LOGIN, LOGOUT = "/api/login", "/api/logout"
OPEN = ("/", "/favicon.ico", LOGIN)  # and what lies below /static/: the page without a word about this device
MAX_BODY_BYTES = 64_000
JSON_TYPE = "application/json"
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "media-src 'self' blob:; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "x-frame-options": "DENY",
    "cache-control": "no-store",
}


class Guard:
    """An ASGI application around the page's."""

    def __init__(
        self,
        app: ASGIApp,
        settings: PanelConfig,
        utc_s: Callable[[], float] = time.time,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        own = socket.gethostname().lower()
        self._app = app
        self._names = {"localhost", own, f"{own}.local", *(name.lower() for name in settings.allowed_hosts)}
        self._sessions = BrowserSessions(settings.token.get_secret_value())
        self._tries = TryLimit()
        self._utc_s = utc_s
        self._clock_s = clock_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        answer = self._refusal(request)
        if answer is None and scope["path"] == LOGIN:
            answer = await self._login(request)
        elif answer is None and scope["path"] == LOGOUT:
            answer = JSONResponse({})
            answer.delete_cookie(
                _cookie(request), path="/", secure=scope["scheme"] == "https", httponly=True, samesite="strict"
            )
        await (answer or self._app)(scope, receive, send_with_headers)

    def _refusal(self, request: Request) -> Response | None:
        """The answer to a request that goes no further; None: it may."""
        headers, path = request.headers, request.scope["path"]
        if not is_own_host(headers.get("host", ""), self._names):
            do = "call the page by its address, or add the name to panel.allowed_hosts"
            return _error(421, "host", f"{printable(headers.get('host', ''))} is not a name of this page; {do}")
        if request.method not in ("GET", "HEAD"):
            if request.method != "POST" or not is_same_origin(headers, request.scope["scheme"]):
                return _error(403, "origin", "this request does not come from the page; open the page itself")
            if headers.get("content-type") != JSON_TYPE or not _is_short(headers.get("content-length", "")):
                return _error(413, "body", f"want JSON of {MAX_BODY_BYTES} bytes at most, with its length")
        elif headers.get("sec-fetch-site") not in (None, "same-origin", "none") and path not in OPEN:
            return _error(403, "origin", "another site asks for this; open the page itself")
        if path in OPEN or path.startswith("/static/") or self._has_session(request):
            return None
        return _error(401, "session", "no session; give the token")

    def _has_session(self, request: Request) -> bool:
        return self._sessions.is_valid(request.cookies.get(_cookie(request), ""), self._utc_s())

    async def _login(self, request: Request) -> Response:
        address = "" if request.client is None else request.client.host
        if wait_s := self._tries.wait_s(address, self._clock_s()):
            answer = _error(429, "tries", f"too many wrong tokens; try again in {wait_s:.0f} s")
            answer.headers["retry-after"] = str(int(wait_s) + 1)
            return answer
        token = await _token(request)
        if not self._sessions.is_token(token):
            self._tries.failed(address, self._clock_s())
            if self._tries.wait_s(address, self._clock_s()):
                log.warning("panel: wrong tokens from %s; its further attempts are delayed", printable(address))
            return _error(403, "token", "this is not the token of this device")
        self._tries.passed(address)
        answer = JSONResponse({})
        answer.set_cookie(
            _cookie(request),
            self._sessions.new_cookie(self._utc_s()),
            max_age=round(SESSION_S),
            path="/",
            httponly=True,
            samesite="strict",
            secure=request.scope["scheme"] == "https",
        )
        return answer


def _cookie(request: Request) -> str:
    """Its name; `__Host-` has the browser refuse one that another name or plain HTTP set."""
    return "__Host-edged" if request.scope["scheme"] == "https" else "edged"


def _error(status: int, code: str, text: str) -> Response:
    return JSONResponse({"code": code, "error": text}, status_code=status)


def _is_short(length: str) -> bool:
    return length.isascii() and length.isdigit() and len(length) < 10 and int(length) <= MAX_BODY_BYTES


async def _token(request: Request) -> str:
    """The token of a login; empty for a body that is none."""
    try:
        body = await request.json()
    except (ValueError, RecursionError):
        return ""
    token = body.get("token") if isinstance(body, dict) else None
    return token.strip() if isinstance(token, str) else ""
