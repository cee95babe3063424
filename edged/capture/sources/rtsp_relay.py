"""Logs in at a camera in place of FFmpeg or GStreamer, and speaks TLS for them.

They know digest with MD5 only, and follow a camera that refers to another machine, with the password and unencrypted.
On loopback between the two, for one stream: requests get their Authorization, H.265 marks where packets are missing
(rtp_losses.py), all else passes as it is. Upstream and downstream: rtsp.py. Thread: one of its own for each stream,
which ends with it.
"""

from __future__ import annotations

import re
import selectors
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from secrets import token_hex
from urllib.parse import urlsplit

from edged.capture.sources.rtp_losses import LossMarks
from edged.capture.sources.rtsp_login import Login, bytes_of, text_of
from edged.runtime.threads import SupervisedThread

CHUNK_BYTES, MAX_MESSAGE_BYTES = 65536, 262_144  # of one read; of an RTSP message with its body
FIRST_REQUEST_S = 1.0  # FFmpeg sends it at once; a stranger that does not is hung up on
MAX_PENDING = 32  # requests without an answer; some cameras leave keep-alives unanswered
HEAD_END = re.compile(rb"\r?\n\r?\n")
LENGTH = re.compile(rb"(?im)^content-length:[ \t]*([0-9]{1,6})[ \t]*\r?$")


class MessageSplitter:
    """Splits what one side sends into RTSP messages and interleaved packets. Source: RFC 2326, 10.12.

    Whatever came is searched once: a message may come byte by byte.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0  # bytes of the message that has begun, in which its head does not end
        self._announced = 0  # bytes of it with its body; 0: not known yet

    def push(self, data: bytes) -> Iterator[bytes]:
        """Those that are whole. Raises ValueError for what is too long to be one."""
        self._buffer += data
        begin = 0
        while size := self._size(begin):
            yield bytes(self._buffer[begin : begin + size])
            begin += size
            self._searched = self._announced = 0
        del self._buffer[:begin]
        if max(len(self._buffer), self._announced) > MAX_MESSAGE_BYTES:
            raise ValueError(f"an RTSP message of over {MAX_MESSAGE_BYTES} bytes")

    def _size(self, begin: int) -> int:
        """Bytes of the message there; 0: it is not whole."""
        self._announced = self._announced or self._announced_at(begin)
        return self._announced if len(self._buffer) - begin >= self._announced else 0

    def _announced_at(self, begin: int) -> int:
        if self._buffer[begin : begin + 1] == b"$":
            size = self._buffer[begin + 2 : begin + 4]
            return 4 + int.from_bytes(size, "big") if len(size) == 2 else 0
        end = HEAD_END.search(self._buffer, begin + self._searched)
        if end is None:
            self._searched = max(0, len(self._buffer) - begin - 3)  # its last three may be of the end
            return 0
        length = LENGTH.search(self._buffer, begin, end.end())
        return end.end() - begin + (int(length[1]) if length else 0)


@dataclass(slots=True)
class _Request:
    method: str
    url: str
    viewer_cseq: str
    rest: str  # other header lines
    body: bytes
    repeated: bool = False
    reconnected: bool = False


class RelayFilter:
    """Changes the requests of a viewer, and answers the challenges of a camera. No I/O."""

    def __init__(self, login: Login, viewer_origin: str, camera_origin: str) -> None:
        """An origin is the address up to the path."""
        self._login = login
        self._origins = viewer_origin, camera_origin
        self._pending: dict[str, _Request] = {}  # by their number at the camera
        self._number = 0
        self._plays = False
        self._marks = LossMarks()

    def from_viewer(self, message: bytes) -> bytes:
        """What the camera is sent for it."""
        head, method, url = _parsed(message)
        if not url:
            return message  # a packet, or a reply
        viewer, camera = self._origins
        lines = re.split("\r?\n", head)[1:]
        numbers = [line.partition(":")[2].strip() for line in lines if line.lower().startswith("cseq:")]
        rest = [line for line in lines if line and not line.lower().startswith(("cseq:", "authorization:"))]
        body = message[len(bytes_of(head)) :]
        url = camera + url.removeprefix(viewer) if url.startswith(viewer) else url
        return self._send(_Request(method, url, numbers[0] if numbers else "0", "\r\n".join(rest), body))

    def from_camera(self, message: bytes) -> tuple[bytes, bytes]:
        """What the viewer is sent for it, and what the camera: a request that it refused, with a login.

        Raises ValueError for a reply that refers to another address.
        """
        if not message.startswith(b"RTSP/"):
            self._plays = True
            return self._marks.push(message) if message.startswith(b"$") else message, b""
        end = HEAD_END.search(message)
        head = text_of(message[: end.start() if end else None])
        status, *lines = re.split("\r?\n", head)
        if re.match("RTSP/[0-9.]+ 3[0-9][0-9]", status):
            raise ValueError("the camera refers to another address, where a viewer would follow")
        headers = [(name.strip().lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        number = next((value for name, value in headers if name == "cseq"), next(reversed(self._pending), ""))
        request = self._pending.pop(number, None)  # some cameras leave the number out: it is the latest request's then
        if request is None:
            return message, b""
        asked = [value for name, value in headers if name == "www-authenticate"]
        if re.match("RTSP/[0-9.]+ 401", status) and not request.repeated and self._login.accept(asked):
            request.repeated = True
            return b"", self._send(request)
        self._marks.on_description(message[end.end() :] if end else b"")
        others = [line for line in lines if not line.lower().startswith("cseq")]
        text = bytes_of("\r\n".join([status, f"CSeq: {request.viewer_cseq}", *others]))
        return text + (message[end.start() :] if end else b""), b""

    def after_hang_up(self) -> bytes:
        """What a camera that closed the connection with its challenge is sent over a new one; empty: it did not."""
        if self._plays:
            return b""
        refused = [request for request in self._pending.values() if request.repeated and not request.reconnected]
        self._pending.clear()
        for request in refused:
            request.reconnected = True
        return b"".join(map(self._send, refused))

    def _send(self, request: _Request) -> bytes:
        self._number += 1
        if len(self._pending) >= MAX_PENDING:
            del self._pending[next(iter(self._pending))]
        self._pending[str(self._number)] = request
        lines = [f"{request.method} {request.url} RTSP/1.0", f"CSeq: {self._number}"]
        login = self._login.header(request.method, request.url)
        lines += [line for line in (request.rest, f"Authorization: {login}" if login else "") if line]
        return bytes_of("\r\n".join([*lines, "", ""])) + request.body


class RtspRelay:
    """Serves one viewer at `url`. It ends when the viewer or the camera does, or when no viewer comes in time.

    Other users of this machine may connect as well; a viewer is who names the token in its first request.
    """

    def __init__(self, url: str, login: Login, connect: Callable[[], socket.socket], timeout_s: float) -> None:
        """`url`: of the camera, without a login. `connect` and `timeout_s`: to the camera, and of its connection."""
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=4)
        self._timeout_s = timeout_s
        self._token = f"/{token_hex(16)}"
        viewer = f"rtsp://127.0.0.1:{self._listener.getsockname()[1]}{self._token}"
        parts = urlsplit(url)
        camera = f"{parts.scheme}://{parts.netloc}"
        self.url = viewer + url.removeprefix(camera)
        self._filter = RelayFilter(login, viewer, camera)
        self._connect = connect
        self.thread = SupervisedThread("rtsp-relay", self._serve)
        self.thread.start()

    def _serve(self) -> None:
        with ExitStack() as stack:
            stack.enter_context(self._listener)
            try:
                viewer, first = self._viewer()
                stack.enter_context(viewer)
                _Pump(self._filter, viewer, self._connect).run(first)
            except (OSError, ValueError):
                return  # the viewer sees a stream that breaks off, and finds the reason

    def _viewer(self) -> tuple[socket.socket, bytes]:
        """The connection of a client that knows the token, and its first bytes. Raises OSError when none comes."""
        end_s = time.monotonic() + self._timeout_s
        while (left_s := end_s - time.monotonic()) > 0:
            self._listener.settimeout(left_s)
            viewer, _ = self._listener.accept()
            viewer.settimeout(FIRST_REQUEST_S)
            with suppress(OSError):
                first = viewer.recv(CHUNK_BYTES)
                if self._token.encode() in first.partition(b"\n")[0]:
                    viewer.settimeout(self._timeout_s)
                    self._listener.close()
                    return viewer, first
            viewer.close()
        raise TimeoutError


class _Pump:
    """Passes messages between a viewer and its camera until one of them ends."""

    def __init__(self, relay_filter: RelayFilter, viewer: socket.socket, connect: Callable[[], socket.socket]) -> None:
        self._filter, self._viewer, self._connect = relay_filter, viewer, connect
        self._requests = MessageSplitter()

    def run(self, first: bytes) -> None:
        """Raises OSError and ValueError for connections that break. Some cameras hang up with each challenge."""
        waiting = self._asked(first)
        viewer_left = False
        while not viewer_left:
            with self._connect() as camera, suppress(ConnectionError):
                camera.sendall(waiting)
                viewer_left = self._pass_on(camera)
            waiting = self._filter.after_hang_up()
            if not waiting:
                return

    def _pass_on(self, camera: socket.socket) -> bool:
        """Until one of them ends: whether it is the viewer."""
        replies = MessageSplitter()
        with selectors.DefaultSelector() as selector:
            for source in (self._viewer, camera):
                selector.register(source, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    source = self._viewer if key.fileobj is self._viewer else camera
                    data = _received(source)
                    if not data:
                        return source is self._viewer
                    if source is self._viewer:
                        camera.sendall(self._asked(data))
                    else:
                        self._answer(camera, replies.push(data))

    def _asked(self, data: bytes) -> bytes:
        return b"".join(map(self._filter.from_viewer, self._requests.push(data)))

    def _answer(self, camera: socket.socket, messages: Iterator[bytes]) -> None:
        answers = [self._filter.from_camera(message) for message in messages]
        self._viewer.sendall(b"".join(viewed for viewed, _ in answers))
        camera.sendall(b"".join(asked for _, asked in answers))


def _received(source: socket.socket) -> bytes:
    """What has come, and what TLS has decrypted already, of which the selector does not know."""
    data = source.recv(CHUNK_BYTES)
    while isinstance(source, ssl.SSLSocket) and source.pending():
        data += source.recv(CHUNK_BYTES)
    return data


def _parsed(message: bytes) -> tuple[str, str, str]:
    """Head with its last blank line, method and URL of a request; method and URL are empty for anything else."""
    end = None if message.startswith((b"$", b"RTSP/")) else HEAD_END.search(message)
    head = text_of(message[: end.end()]) if end else ""
    words = head.partition("\n")[0].split()
    return (head, words[0], words[1]) if len(words) == 3 else (head, "", "")
