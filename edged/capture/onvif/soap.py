"""SOAP 1.2 over HTTP, as far as ONVIF needs it: one request, one answer of bounded size, within a bounded time.

Answers come from strangers: a document type is refused (SOAP forbids it), so no entity is ever expanded; redirects are
not followed. Source: ONVIF Core Specification 23.06, OASIS WS-UsernameToken Profile 1.1.
"""

from __future__ import annotations

import hashlib
import io
import re
import socket
import ssl
import time
from base64 import b64encode
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from http.client import HTTPException, HTTPResponse
from secrets import token_bytes
from typing import Any, NoReturn, cast
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element, ParseError, TreeBuilder, XMLParser
from xml.sax.saxutils import escape

from edged.capture.sources.rtsp_login import Login
from edged.errors import CameraLost
from edged.foreign_text import printable

MAX_BYTES = 1 << 20  # of an answer; one with many profiles has 100 kB
CHUNK_BYTES = 65536
MAX_DEPTH = 64  # of elements; ONVIF's have 15
ENVELOPE = "http://www.w3.org/2003/05/soap-envelope"
WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
WSU = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
WSS_USER = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0"
BASE64 = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary"


@dataclass(frozen=True, slots=True)
class Credentials:
    """Of a camera's user. `plain`: the password itself goes over the network, for cameras that know no digest."""

    username: str
    password: str = field(repr=False)
    plain: bool = False


class _Strict(TreeBuilder):
    """Raises ValueError for a document type, and for elements that are nested too deep."""

    def __init__(self) -> None:
        super().__init__()
        self._depth = 0

    def doctype(self, *_: str | None) -> NoReturn:
        raise ValueError("it has a document type, which SOAP forbids")

    def start(self, tag: Any, attrs: Any) -> Element:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ValueError("its elements are nested too deep")
        return super().start(tag, attrs)

    def end(self, tag: str) -> Element:
        self._depth -= 1
        return super().end(tag)


def parse(document: bytes) -> Element:
    """The root of a stranger's XML. Raises ValueError for what is none, or more than SOAP allows."""
    parser = XMLParser(target=_Strict())  # noqa: S314  no document type, so no entities
    try:
        parser.feed(document)
        return parser.close()
    except (ParseError, LookupError) as error:  # LookupError: an encoding of another name
        raise ValueError(f"it is no XML: {error}") from None


def text_at(element: Element, path: str, max_chars: int = 200) -> str:
    """The text of the first element below at a path of names in any namespace, fit for a terminal; empty: none."""
    found = element.find(".//" + "/".join(f"{{*}}{name}" for name in path.split("/")))
    return printable(" ".join((found.text or "").split()), max_chars) if found is not None else ""


def request(body: str, credentials: Credentials | None = None, clock_offset_s: float = 0.0) -> bytes:
    """The envelope of a request. `clock_offset_s`: of the camera's clock, by which it judges the age of a digest."""
    header = "" if credentials is None else f"<s:Header>{_security(credentials, clock_offset_s)}</s:Header>"
    return (
        f'<?xml version="1.0"?><s:Envelope xmlns:s="{ENVELOPE}">{header}<s:Body>{body}</s:Body></s:Envelope>'.encode()
    )


def _security(credentials: Credentials, clock_offset_s: float) -> str:
    created = (datetime.now(timezone.utc) + timedelta(seconds=clock_offset_s)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    nonce = token_bytes(16)
    digest = hashlib.sha1(nonce + created.encode() + credentials.password.encode(), usedforsecurity=False).digest()
    kind, secret = ("Text", credentials.password) if credentials.plain else ("Digest", b64encode(digest).decode())
    return (
        f'<w:Security xmlns:w="{WSSE}" s:mustUnderstand="true"><w:UsernameToken>'
        f"<w:Username>{escape(credentials.username)}</w:Username>"
        f'<w:Password Type="{WSS_USER}#Password{kind}">{escape(secret)}</w:Password>'
        f'<w:Nonce EncodingType="{BASE64}">{b64encode(nonce).decode()}</w:Nonce>'
        f'<u:Created xmlns:u="{WSU}">{created}</u:Created></w:UsernameToken></w:Security>'
    )


def call(
    url: str, body: str, timeout_s: float, credentials: Credentials | None = None, clock_offset_s: float = 0.0
) -> Element:
    """The answer's root element, without a fault. Raises CameraLost with the reason.

    A camera that wants the login of HTTP instead (401, digest) gets that one; never basic, which is the password.
    """
    deadline_s = time.monotonic() + timeout_s
    try:
        status, challenges, document = _post(url, request(body, credentials, clock_offset_s), "", deadline_s)
        if status == 401 and credentials is not None:
            login = Login(credentials.username, credentials.password, basic=False)
            if login.accept(challenges):
                header = login.header("POST", urlsplit(url).path or "/")
                status, _, document = _post(url, request(body), header, deadline_s)
        return _checked(url, status, document)
    except TimeoutError:
        raise CameraLost(f"{_place(url)}: no whole answer within {timeout_s:.3g} s", "timeout") from None
    except (OSError, HTTPException, ValueError) as error:
        raise CameraLost(f"{_place(url)}: {printable(str(error))}; is it an ONVIF camera?", "no_onvif") from None


def _checked(url: str, status: int, document: bytes) -> Element:
    """Raises CameraLost, and ValueError for what is no SOAP."""
    if status == 401:
        raise CameraLost(f"{_place(url)}: wrong user name or password, or none was given", "password_wrong")
    if status not in (200, 400, 500):
        raise ValueError(f"it answers {status}")
    root = parse(document)
    if (fault := root.find(".//{*}Fault")) is None:
        return root
    codes = " ".join(element.text or "" for element in fault.iter() if element.tag.endswith(("Value", "faultcode")))
    if "NotAuthorized" in codes or "FailedAuthentication" in codes:
        text = "wrong user name or password, none was given, or its user may not see this"
        raise CameraLost(f"{_place(url)}: {text}", "password_wrong")
    reason = text_at(fault, "Text") or text_at(fault, "faultstring") or printable(codes)
    raise CameraLost(f"{_place(url)}: it refuses: {reason}", "error_reply")


def _place(url: str) -> str:
    return printable(urlsplit(url).netloc.rpartition("@")[2])


def _post(url: str, content: bytes, authorization: str, deadline_s: float) -> tuple[int, list[str], bytes]:
    """Status, challenges and body of the answer. Raises OSError, HTTPException, and ValueError for one too large."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    host = re.sub(r"%[^]]*", "", parts.netloc)  # the zone of an address is nobody's but ours. Source: RFC 6874, 4
    lines = [f"POST {parts.path or '/'} HTTP/1.1", f"Host: {host}", "Connection: close"]
    action = re.search(rb'<s:Body><(\w+) xmlns="([^"]+)"', content)
    named = f'; action="{action[2].decode()}/{action[1].decode()}"' if action else ""
    lines += [f"Content-Type: application/soap+xml; charset=utf-8{named}", f"Content-Length: {len(content)}"]
    lines += [f"Authorization: {authorization}"] if authorization else []
    plain = socket.create_connection((parts.hostname or "", port), _left_s(deadline_s))
    with _encrypted(plain) if parts.scheme == "https" else plain as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + content)
        received = _receive(connection, deadline_s)
    response = HTTPResponse(cast("socket.socket", _Received(received)), method="POST")
    response.begin()
    return response.status, response.headers.get_all("WWW-Authenticate", []), response.read()


def _encrypted(connection: socket.socket) -> ssl.SSLSocket:
    """Cameras sign their certificates themselves: this keeps listeners out, not a stranger in the camera's place."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(connection)


def _receive(connection: socket.socket, deadline_s: float) -> bytes:
    """Everything until the other side ends, or the length that it announced has come; TimeoutError at the deadline."""
    data = bytearray()
    while len(data) <= MAX_BYTES:
        connection.settimeout(_left_s(deadline_s))
        piece = connection.recv(CHUNK_BYTES)
        data += piece
        if not piece or _is_whole(data):
            return bytes(data)
    raise ValueError(f"its answer is longer than {MAX_BYTES >> 10} kB")


def _is_whole(data: bytearray) -> bool:
    head, end, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *([0-9]{1,9})\r\n", head + b"\r\n")
    return bool(end) and length is not None and len(body) >= int(length[1])


def _left_s(deadline_s: float) -> float:
    if (left_s := deadline_s - time.monotonic()) <= 0:
        raise TimeoutError
    return left_s


class _Received:
    """What HTTPResponse reads from: an answer that has come already."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self._data)
