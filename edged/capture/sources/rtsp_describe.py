"""Why an RTSP stream cannot be opened, found by a DESCRIBE of our own: FFmpeg reports only that the open failed.

Sockets only; used by rtsp.py.
"""

from __future__ import annotations

import re
import socket
import ssl
import time
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from urllib.parse import unquote, urlsplit, urlunsplit

from pydantic import SecretStr

from edged.capture.onvif.discovery import netloc
from edged.capture.sources.rtsp_login import KNOWN, Login, bytes_of, challenges, text_of
from edged.config.tables.camera import RTSP_PORTS, CameraConfig
from edged.errors import CameraLost
from edged.foreign_text import printable
from edged.secret_address import MASK, SecretAddress, is_address, redact_value

TIMEOUT_S, MIN_TIMEOUT_S = 2.0, 0.1  # of a whole exchange
MAX_HEADER_LINES = 100  # of an answer that are read; more is no RTSP
MAX_LINE_BYTES, MAX_BODY_BYTES = 8192, 65536  # of an answer that are read: far more than a description has
MAX_TRACKS, MAX_NAME = 8, 40  # of a description that are read
ACCEPT = "Accept: application/sdp"  # header of a DESCRIBE
VIEWERS = "check the camera's limit of viewers"
REFUSAL_CURES = {  # of a description's video, by the reply's code
    453: f"the network or the camera is at its limit; {VIEWERS}",
    461: "allow RTP over TCP, also called interleaved, in the camera",
    503: f"it is busy; {VIEWERS}",
}
MIN_SECRET_CHARS = 4  # of a part of the path or query that a camera may repeat in its answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """The address of a stream. Its repr and `masked_url` hold neither password nor path."""

    host: str
    port: int
    url: str = field(repr=False)  # without credentials in front of the host; the path may still hold some
    username: str
    secret: SecretStr
    server_name: str = ""  # that the certificate is for; empty: the host
    digest_only: bool = False  # whoever is there must not learn the password

    @staticmethod
    def from_settings(settings: CameraConfig) -> Address:
        """The address of a camera; user name and password from their own keys, else from `source`."""
        parts = urlsplit(settings.source.reveal())
        bare = parts.netloc.rpartition("@")[2]
        password = settings.password.get_secret_value() or unquote(parts.password or "")
        return Address(
            host=parts.hostname or "",
            port=parts.port or RTSP_PORTS[parts.scheme],
            url=urlunsplit(parts._replace(netloc=bare)),
            username=settings.username or unquote(parts.username or ""),
            secret=SecretStr(password),
            server_name=settings.tls_server_name,
        )

    def at(self, host: str) -> Address:
        """The same stream at another address, for which nobody vouches: it gets a digest of the password at most."""
        parts = urlsplit(self.url)
        url = urlunsplit(parts._replace(netloc=netloc(host, parts.port)))
        return replace(self, host=host, url=url, digest_only=True)

    @property
    def login(self) -> Login:
        """For one connection."""
        return Login(self.username, self.password, basic=not self.digest_only)

    @property
    def encrypted(self) -> bool:
        return self.url.startswith("rtsps:")

    @property
    def masked_url(self) -> str:
        """For logs: scheme, host and port."""
        return str(SecretAddress(self.url))

    @property
    def password(self) -> str:
        return self.secret.get_secret_value()

    def without_secrets(self, text: str) -> str:
        """A text of the camera's without what it may repeat of our request: password, path, query."""
        parts = urlsplit(self.url)
        asked = f"{parts.path}?{parts.query}"
        pieces = [self.password, unquote(self.password), self.url, asked, parts.path, *re.split("[/?&=_;]", asked)]
        for secret in sorted({piece for piece in pieces if len(piece) >= MIN_SECRET_CHARS}, key=len, reverse=True):
            text = text.replace(secret, MASK)
        return text


@dataclass(frozen=True, slots=True)
class RtspReply:
    code: int
    phrase: str
    challenges: tuple[str, ...]
    body: str
    location: str = ""  # where else it refers to, without login and path
    raw_body: str = field(default="", repr=False)  # with what it may repeat of our request
    base: str = field(default="", repr=False)  # address that those of the tracks are relative to; empty: that asked for
    session: str = ""


def describe(address: Address, timeout_s: float = TIMEOUT_S, tls: ssl.SSLContext | None = None) -> RtspReply:
    """The reply with the stream's description (SDP). Raises CameraLost with the reason when the server sends none."""
    try:
        with closing(_Viewer(address, timeout_s, tls)) as viewer:
            reply = viewer.ask("DESCRIBE", address.url, ACCEPT)
    except OSError as error:
        raise _lost(address, *_error_text(error, address, timeout_s)) from error
    if reply.code == 401 and address.username and not viewer.login.is_known:
        raise _lost(address, _unknown_login(reply, address), "login_unsupported")
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


def refusal(address: Address, timeout_s: float, tls: ssl.SSLContext | None = None) -> str:
    """How the camera refuses the video that it describes, as in "SETUP over TCP: 461 Unsupported Transport; ...".

    Empty when it does not, or could not be asked.
    """
    with suppress(OSError, CameraLost), closing(_Viewer(address, timeout_s, tls)) as viewer:
        described = viewer.ask("DESCRIBE", address.url, ACCEPT)
        base = described.base or address.url
        transport = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1"
        setup = viewer.ask("SETUP", _video_url(described.raw_body, base), transport)
        if setup.code != 200:
            return f"SETUP over TCP: {_refused(setup)}"
        play = viewer.ask("PLAY", base, f"Session: {setup.session}")
        if play.code != 200:
            return f"PLAY: {_refused(play)}"
    return ""


def connect(address: Address, timeout_s: float, tls: ssl.SSLContext | None) -> socket.socket:
    """A connection to the camera, encrypted by `tls`. Raises OSError."""
    connection = socket.create_connection((address.host, address.port), timeout_s)
    if tls is None:
        return connection
    try:
        return tls.wrap_socket(connection, server_hostname=address.server_name or address.host)
    except (OSError, ValueError):
        connection.close()
        raise


def _unknown_login(reply: RtspReply, address: Address) -> str:
    asked = printable(", ".join(map(str, challenges(reply.challenges))), 2 * MAX_NAME)
    if address.digest_only:
        do = "choose digest in the camera, or write its address into source"
        return f"it asks for the login {asked or 'of no kind'}, and gets no password at an address that is new; {do}"
    return f"it asks for the login {asked or 'of no kind'}; known are {KNOWN}: choose one in the camera"


class _Viewer:
    """Asks one thing after the other, and logs in where it is asked to; some cameras hang up with each challenge."""

    def __init__(self, address: Address, timeout_s: float, tls: ssl.SSLContext | None) -> None:
        """Connected. Raises OSError."""
        self._address, self._tls = address, tls
        self._deadline_s = time.monotonic() + timeout_s
        self._cseq = 0
        self.login = address.login
        self._connection = connect(address, timeout_s, tls)
        self._answers = _Answers(self._connection, self._deadline_s)

    def ask(self, method: str, url: str, header: str) -> RtspReply:
        """The reply. Raises OSError and CameraLost."""
        self._send(method, url, header)
        reply = _read_reply(self._answers, self._address)
        if reply.code != 401 or not self._address.username or not self.login.accept(reply.challenges):
            return reply
        with suppress(ConnectionError):
            self._send(method, url, header)
            if not self._answers.ended():
                return _read_reply(self._answers, self._address)
        self.close()
        left_s = max(MIN_TIMEOUT_S, self._deadline_s - time.monotonic())
        self._connection = connect(self._address, left_s, self._tls)
        self._answers = _Answers(self._connection, self._deadline_s)
        self._send(method, url, header)
        return _read_reply(self._answers, self._address)

    def close(self) -> None:
        self._connection.close()

    def _send(self, method: str, url: str, header: str) -> None:
        self._cseq += 1
        credentials = self.login.header(method, url)
        lines = [f"{method} {url} RTSP/1.0", f"CSeq: {self._cseq}", header]
        lines += [f"Authorization: {credentials}"] if credentials else []
        self._connection.sendall(bytes_of("\r\n".join([*lines, "", ""])))


def _video_url(sdp: str, base: str) -> str:
    """The address of the first video of a description. Source: RFC 2326, C.1.1"""
    track = next((track for track in re.split(r"(?m)^m=", sdp)[1:] if track.startswith("video")), "")
    found = re.search(r"(?m)^a=control:(\S+)", track)
    control = found[1] if found else "*"
    if control == "*" or "://" in control:
        return base if control == "*" else control
    return f"{base.removesuffix('/')}/{control}"


def _refused(reply: RtspReply) -> str:
    if 300 <= reply.code < 400 and reply.location:
        return f"{reply.code} {reply.phrase}: it refers to {reply.location}; set that as source"
    return f"{reply.code} {reply.phrase}; {REFUSAL_CURES.get(reply.code, 'see the settings of the camera')}"


class _Answers:
    """What a camera sends, read until one deadline for all of it: a byte now and then does not prolong it."""

    def __init__(self, connection: socket.socket, deadline_s: float) -> None:
        self._connection = connection
        self._deadline_s = deadline_s  # CLOCK_MONOTONIC
        self._buffer = b""

    def line(self) -> str:
        """The next line, or what there is of it; empty at the end. Raises TimeoutError at the deadline."""
        while b"\n" not in self._buffer and len(self._buffer) < MAX_LINE_BYTES and self._receive():
            pass
        line, end, rest = self._buffer[:MAX_LINE_BYTES].partition(b"\n")
        self._buffer = rest + self._buffer[MAX_LINE_BYTES:]
        return text_of(line + end)

    def body(self, size: int) -> bytes:
        """The next bytes, at most `size`. Raises TimeoutError at the deadline."""
        while len(self._buffer) < size and self._receive():
            pass
        body, self._buffer = self._buffer[:size], self._buffer[size:]
        return body

    def ended(self) -> bool:
        """Whether the camera has closed the connection, and all it sent was read. Waits for either."""
        return not self._buffer and not self._receive()

    def _receive(self) -> bool:
        remaining_s = self._deadline_s - time.monotonic()
        if remaining_s <= 0:
            raise TimeoutError
        self._connection.settimeout(remaining_s)
        data = self._connection.recv(4096)
        self._buffer += data
        return bool(data)


def _read_reply(answers: _Answers, address: Address) -> RtspReply:
    status = answers.line()
    if not status:
        raise _lost(address, "closed the connection without an answer", "broken_off")
    match = re.match(r"RTSP/[0-9]\.[0-9] ([0-9]{3}) (.*)", status)
    if match is None:
        raise _lost(address, f"port {address.port} does not speak RTSP; check the port", "not_rtsp")
    headers: list[tuple[str, str]] = []
    for _ in range(MAX_HEADER_LINES):
        name, _, value = answers.line().strip().partition(":")
        if not name:
            break
        headers.append((name.lower(), value.strip()))
    given = (value for name, value in headers if name == "content-length")
    length = next((int(value) for value in given if re.fullmatch("[0-9]{1,9}", value)), 0)
    challenges = tuple(value for name, value in headers if name == "www-authenticate")
    body = answers.body(min(length, MAX_BODY_BYTES)).decode("utf-8", "replace")
    phrase = printable(address.without_secrets(match[2].strip()))
    named = dict(reversed(headers))
    told = next((value for name, value in headers if name == "location" and is_address(value)), "")
    return RtspReply(
        int(match[1]),
        phrase,
        challenges,
        address.without_secrets(body),
        raw_body=body,
        location=printable(redact_value(told)),
        base=named.get("content-base") or named.get("content-location", ""),
        session=named.get("session", "").partition(";")[0],
    )


def _lost(address: Address, reason: str, code: str) -> CameraLost:
    return CameraLost(f"{address.masked_url}: {reason}", code)


def _status_text(reply: RtspReply, address: Address) -> tuple[str, str]:
    """The meaning of an RTSP status, and the error's code."""
    if reply.code in (401, 403) and not address.username:
        return "wants a user name and password; set the camera's username and password", "password_missing"
    if reply.code in (401, 403):
        return f"wrong user name or password for {address.username!r}", "password_wrong"
    if reply.code == 404:
        return "the camera answers, but has no such stream; check the path", "no_such_stream"
    if 300 <= reply.code < 400:
        where = reply.location or "another address"
        return f"the camera refers to {where} ({reply.code} {reply.phrase}); set that as source", "error_reply"
    return f"the camera answers {reply.code} {reply.phrase}", "error_reply"


def _error_text(error: OSError, address: Address, timeout_s: float) -> tuple[str, str]:
    """The meaning of a network error, and the error's code."""
    if isinstance(error, ssl.SSLCertVerificationError):
        do = "set cameras.<name>.ca or tls_server_name, or tls_verify = false"
        text = f"its certificate is not valid: {error.verify_message}; {do}"
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
