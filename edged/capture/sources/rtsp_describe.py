"""Why an RTSP stream cannot be opened, found by a DESCRIBE of our own: FFmpeg reports only that the open failed.

Sockets only; used by rtsp.py.
"""

from __future__ import annotations

import hashlib
import re
import socket
import ssl
from base64 import b64encode
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import BinaryIO
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from pydantic import SecretStr

from edged.config.tables.camera import CameraConfig
from edged.errors import CameraLost
from edged.foreign_text import printable

PORTS = {"rtsp": 554, "rtsps": 322}  # Source: RFC 7826
TIMEOUT_S = 2.0
MAX_HEADER_LINES = 100
MAX_BYTES = 65536
MAX_TRACKS, MAX_NAME = 8, 40  # of a description that are read
PASSWORD_PARAMETER = re.compile(r"(?i)\b(\w*(?:pass|pwd)\w*)=[^&_/]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """The address of a stream. Its repr and `masked_url` hold no password."""

    host: str
    port: int
    url: str = field(repr=False)  # without credentials in front of the host; the path may still hold some
    username: str
    secret: SecretStr

    @staticmethod
    def from_settings(settings: CameraConfig) -> Address:
        """The address of a camera; user name and password from their own keys, else from `source`."""
        parts = urlsplit(settings.source)
        bare = parts.netloc.rpartition("@")[2]
        password = settings.password.get_secret_value() or unquote(parts.password or "")
        return Address(
            host=parts.hostname or "",
            port=parts.port or PORTS[parts.scheme],
            url=urlunsplit(parts._replace(netloc=bare)),
            username=settings.username or unquote(parts.username or ""),
            secret=SecretStr(password),
        )

    @property
    def encrypted(self) -> bool:
        return self.url.startswith("rtsps:")

    @property
    def masked_url(self) -> str:
        """For logs: no credentials, and passwords among the path's parameters are masked."""
        return PASSWORD_PARAMETER.sub(r"\1=***", self.url)

    @property
    def url_with_credentials(self) -> str:
        """For FFmpeg: with credentials, percent-encoded. Must not be logged."""
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


def describe(address: Address, timeout_s: float = TIMEOUT_S, tls: ssl.SSLContext | None = None) -> Reply:
    """The reply with the stream's description (SDP). Raises CameraLost with the reason when the server sends none."""
    try:
        reply = _exchange(address, timeout_s, tls)
    except OSError as error:
        raise _lost(address, *_error_text(error, address, timeout_s)) from error
    if reply.code != 200:
        raise _lost(address, *_status_text(reply, address))
    return reply


def media(sdp: str) -> list[tuple[str, str]]:
    """Kind and encoding of every track that a description offers, like [("video", "H264"), ("audio", "PCMU")]."""
    tracks = re.split(r"(?m)^m=", sdp)[1 : MAX_TRACKS + 1]
    encodings = [re.search(r"(?m)^a=rtpmap:\d+ ([^/\s]+)", track) for track in tracks]
    return [
        (printable(track.split(" ", 1)[0], MAX_NAME), printable(found[1] if found else "unnamed", MAX_NAME))
        for track, found in zip(tracks, encodings, strict=True)
    ]


def unsupported_login(reply: Reply) -> str:
    """Why FFmpeg cannot log in where our own request, with the same password, could."""
    asked = ", ".join(_algorithm(text) for text in reply.challenges)
    return (
        f"the password is right, but the camera asks for {asked}; FFmpeg answers MD5 or basic, and only what is "
        f"asked for last: set the camera's RTSP authentication to digest with MD5 or basic alone"
    )


def _algorithm(challenge: str) -> str:
    kind, found = challenge.partition(" ")[0], re.search(r'algorithm="?([^",\s]+)', challenge)
    return printable(f"{kind} {found[1]}" if found else kind, MAX_NAME)


def _exchange(address: Address, timeout_s: float, tls: ssl.SSLContext | None) -> Reply:
    with ExitStack() as stack:
        connection = stack.enter_context(socket.create_connection((address.host, address.port), timeout_s))
        if tls is not None:
            connection = stack.enter_context(tls.wrap_socket(connection, server_hostname=address.host))
        answers = stack.enter_context(connection.makefile("rb"))
        connection.sendall(_request(address, 1, None))
        reply = _read_reply(answers, address)
        if reply.code == 401 and address.username and reply.challenges:
            connection.sendall(_request(address, 2, authorization(reply.challenges, address)))
            reply = replace(_read_reply(answers, address), challenges=reply.challenges)
        return reply


def _request(address: Address, cseq: int, credentials: str | None) -> bytes:
    lines = [f"DESCRIBE {address.url} RTSP/1.0", f"CSeq: {cseq}", "Accept: application/sdp"]
    if credentials:
        lines.append(f"Authorization: {credentials}")
    return "\r\n".join([*lines, "", ""]).encode()


def _read_reply(answers: BinaryIO, address: Address) -> Reply:
    status = answers.readline(MAX_BYTES).decode("latin-1")
    if not status:
        raise _lost(address, "closed the connection without an answer", "broken_off")
    match = re.match(r"RTSP/\d\.\d (\d{3}) (.*)", status)
    if match is None:
        raise _lost(address, f"port {address.port} does not speak RTSP; check the port", "not_rtsp")
    headers: list[tuple[str, str]] = []
    for _ in range(MAX_HEADER_LINES):
        name, _, value = answers.readline(MAX_BYTES).decode("latin-1").strip().partition(":")
        if not name:
            break
        headers.append((name.lower(), value.strip()))
    length = next((int(value) for name, value in headers if name == "content-length" and value.isdigit()), 0)
    challenges = tuple(value for name, value in headers if name == "www-authenticate")
    body = answers.read(min(length, MAX_BYTES)).decode("utf-8", "replace")
    return Reply(int(match[1]), printable(match[2].strip()), challenges, body)


def authorization(challenges: tuple[str, ...], address: Address) -> str:
    """The Authorization header for a challenge: Digest if offered, else Basic. Source: RFC 7616, RFC 7617."""
    digest = next((text for text in challenges if text.lower().startswith("digest")), None)
    if digest is None:
        return "Basic " + b64encode(f"{address.username}:{address.password}".encode()).decode()
    offered = dict(re.findall(r'(\w+)="?([^",]*)"?', digest))
    name = "sha256" if "256" in offered.get("algorithm", "") else "md5"

    def hashed(*parts: str) -> str:
        return hashlib.new(name, ":".join(parts).encode(), usedforsecurity=False).hexdigest()

    realm, nonce = offered.get("realm", ""), offered.get("nonce", "")
    user_hash = hashed(address.username, realm, address.password)
    request_hash = hashed("DESCRIBE", address.url)
    fields = {"username": address.username, "realm": realm, "nonce": nonce, "uri": address.url}
    if "qop" in offered:
        client = {"nc": "00000001", "cnonce": "65646765", "qop": "auth"}
        fields |= client | {"response": hashed(user_hash, nonce, *client.values(), request_hash)}
    else:
        fields["response"] = hashed(user_hash, nonce, request_hash)
    return "Digest " + ", ".join(f'{key}="{value}"' for key, value in fields.items())


def _lost(address: Address, reason: str, code: str) -> CameraLost:
    return CameraLost(f"{address.masked_url}: {reason}", code)


def _status_text(reply: Reply, address: Address) -> tuple[str, str]:
    """The meaning of an RTSP status, and the error's code."""
    if reply.code in (401, 403) and not address.username:
        return "wants a user name and password; set the camera's username and password", "password_missing"
    if reply.code in (401, 403):
        return f"wrong user name or password for {address.username!r}", "password_wrong"
    if reply.code == 404:
        return "the camera answers, but has no such stream; check the path", "no_such_stream"
    return f"the camera answers {reply.code} {reply.phrase}", "error_reply"


def _error_text(error: OSError, address: Address, timeout_s: float) -> tuple[str, str]:
    """The meaning of a network error, and the error's code."""
    if isinstance(error, ssl.SSLCertVerificationError):
        text = f"its certificate is not valid: {error.verify_message}; set cameras.<name>.ca, or tls_verify = false"
        return text, "tls_certificate"
    if isinstance(error, ssl.SSLError):
        return f"port {address.port} does not speak TLS as it should ({error.reason}); try rtsp://", "tls"
    if isinstance(error, socket.gaierror):
        return f"no such host as {address.host!r}; check the name, or use an address", "no_such_host"
    if isinstance(error, ConnectionRefusedError):
        return f"connection refused on port {address.port}; is the camera's RTSP service on?", "refused"
    if isinstance(error, TimeoutError):
        return f"no answer within {timeout_s:g} s; is the camera on, and its address right?", "timeout"
    return f"{error.strerror or error}; check the network", "network"
