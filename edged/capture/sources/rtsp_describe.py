"""What an RTSP server says of a stream, asked by ourselves: cv2 only knows that it could not be opened.

Sockets alone; used by camera_rtsp.py when an open has failed, to tell the true reason.
"""

from __future__ import annotations

import hashlib
import re
import socket
from base64 import b64encode
from dataclasses import dataclass, field
from typing import BinaryIO
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from pydantic import SecretStr

from edged.config.tables.camera import CameraConfig
from edged.errors import CameraLost

PORT = 554
TIMEOUT_S = 2.0
MAX_HEADER_LINES = 100
MAX_BYTES = 65536
PASSWORD_PARAMETER = re.compile(r"(?i)\b(\w*(?:pass|pwd)\w*)=[^&_/]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a stream is; its repr and `shown` hold no password."""

    host: str
    port: int
    url: str = field(repr=False)  # without credentials; a path may still hold some
    username: str
    secret: SecretStr

    @staticmethod
    def from_settings(settings: CameraConfig) -> Address:
        """User name and password come from their own keys, or else from the address."""
        parts = urlsplit(settings.source)
        bare = parts.netloc.rpartition("@")[2]
        password = settings.password.get_secret_value() or unquote(parts.password or "")
        return Address(
            host=parts.hostname or "",
            port=parts.port or PORT,
            url=urlunsplit(parts._replace(netloc=bare)),
            username=settings.username or unquote(parts.username or ""),
            secret=SecretStr(password),
        )

    @property
    def masked_url(self) -> str:
        """For people: no credentials, and no password among the path's parameters."""
        return PASSWORD_PARAMETER.sub(r"\1=***", self.url)

    @property
    def url_with_credentials(self) -> str:
        """For FFmpeg: with credentials, percent-encoded."""
        if not self.username:
            return self.url
        user = f"{quote(self.username, safe='')}:{quote(self.password, safe='')}"
        return self.url.replace("://", f"://{user}@", 1)

    @property
    def password(self) -> str:
        return self.secret.get_secret_value()


@dataclass(frozen=True, slots=True)
class Reply:
    code: int
    phrase: str
    challenges: tuple[str, ...]
    body: str


def describe(address: Address, timeout_s: float = TIMEOUT_S) -> str:
    """The stream's description (SDP). Raises CameraLost with the reason why there is none."""
    try:
        reply = _exchange(address, timeout_s)
    except OSError as error:
        raise CameraLost(f"{address.masked_url}: {_error_text(error, address, timeout_s)}") from error
    if reply.code != 200:
        raise CameraLost(f"{address.masked_url}: {_status_text(reply, address)}")
    return reply.body


def codecs(sdp: str) -> list[str]:
    """Names of the encodings offered, as in ["H264", "PCMU"]."""
    return re.findall(r"(?m)^a=rtpmap:\d+ ([^/\s]+)", sdp)


def _exchange(address: Address, timeout_s: float) -> Reply:
    with (
        socket.create_connection((address.host, address.port), timeout_s) as connection,
        connection.makefile("rb") as answers,
    ):
        connection.sendall(_request(address, 1, None))
        reply = _read_reply(answers, address)
        if reply.code == 401 and address.username and reply.challenges:
            connection.sendall(_request(address, 2, authorization(reply.challenges, address)))
            reply = _read_reply(answers, address)
        return reply


def _request(address: Address, cseq: int, credentials: str | None) -> bytes:
    lines = [f"DESCRIBE {address.url} RTSP/1.0", f"CSeq: {cseq}", "Accept: application/sdp"]
    if credentials:
        lines.append(f"Authorization: {credentials}")
    return "\r\n".join([*lines, "", ""]).encode()


def _read_reply(answers: BinaryIO, address: Address) -> Reply:
    status = answers.readline(MAX_BYTES).decode("latin-1")
    if not status:
        raise CameraLost(f"{address.masked_url}: closed the connection without an answer")
    match = re.match(r"RTSP/\d\.\d (\d{3}) (.*)", status)
    if match is None:
        raise CameraLost(f"{address.masked_url}: port {address.port} does not speak RTSP; check the port")
    headers: list[tuple[str, str]] = []
    for _ in range(MAX_HEADER_LINES):
        name, _, value = answers.readline(MAX_BYTES).decode("latin-1").strip().partition(":")
        if not name:
            break
        headers.append((name.lower(), value.strip()))
    length = next((int(value) for name, value in headers if name == "content-length" and value.isdigit()), 0)
    challenges = tuple(value for name, value in headers if name == "www-authenticate")
    body = answers.read(min(length, MAX_BYTES)).decode("utf-8", "replace")
    return Reply(int(match[1]), match[2].strip(), challenges, body)


def authorization(challenges: tuple[str, ...], address: Address) -> str:
    """The answer to a server's challenge: Digest where it offers that, Basic otherwise. Source: RFC 7616, 7617."""
    digest = next((text for text in challenges if text.lower().startswith("digest")), None)
    if digest is None:
        return "Basic " + b64encode(f"{address.username}:{address.password}".encode()).decode()
    asked = dict(re.findall(r'(\w+)="?([^",]*)"?', digest))
    name = "sha256" if "256" in asked.get("algorithm", "") else "md5"

    def hashed(*parts: str) -> str:
        return hashlib.new(name, ":".join(parts).encode(), usedforsecurity=False).hexdigest()

    realm, nonce = asked.get("realm", ""), asked.get("nonce", "")
    who = hashed(address.username, realm, address.password)
    what = hashed("DESCRIBE", address.url)
    fields = {"username": address.username, "realm": realm, "nonce": nonce, "uri": address.url}
    if "qop" in asked:
        once = {"nc": "00000001", "cnonce": "65646765", "qop": "auth"}
        fields |= once | {"response": hashed(who, nonce, *once.values(), what)}
    else:
        fields["response"] = hashed(who, nonce, what)
    return "Digest " + ", ".join(f'{key}="{value}"' for key, value in fields.items())


def _status_text(reply: Reply, address: Address) -> str:
    if reply.code in (401, 403) and not address.username:
        return "wants a user name and password; set the camera's username and password"
    if reply.code in (401, 403):
        return f"wrong user name or password for {address.username!r}"
    if reply.code == 404:
        return "the camera answers, but has no such stream; check the path"
    return f"the camera answers {reply.code} {reply.phrase}"


def _error_text(error: OSError, address: Address, timeout_s: float) -> str:
    if isinstance(error, socket.gaierror):
        return f"no such host as {address.host!r}; check the name, or use an address"
    if isinstance(error, ConnectionRefusedError):
        return f"connection refused on port {address.port}; is the camera's RTSP service on?"
    if isinstance(error, TimeoutError):
        return f"no answer within {timeout_s:g} s; is the camera on, and its address right?"
    return f"{error.strerror or error}; check the network"
