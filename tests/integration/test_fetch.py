"""Downloads over a web server that misbehaves on request."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from urllib.request import Request

import pytest

from engines.errors import SourceError, StoreError
from engines.store.fetch import Redirects, fetch
from tests.support.tcp_server import tcp_server

BODY = bytes(range(256)) * 2000  # 512 kB: more than one read


class Server(ThreadingHTTPServer):
    """Serves BODY at every path; what goes wrong is an attribute."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.body = BODY
        self.etag = '"one"'
        self.cuts: list[int] = []  # bytes after which the next replies break off
        self.status = 200
        self.location = ""
        self.says_length = True
        self.asked: list[str | None] = []  # the Range of every request
        self.go_on = threading.Event()
        self.go_on.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/model.onnx"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server = self.server
        wanted = self.headers["Range"]
        server.asked.append(wanted)
        server.go_on.wait(20)
        start = int(wanted[6:-1]) if wanted and self.headers["If-Range"] == server.etag else 0
        if server.status == 200 and start >= len(server.body):
            self.send_error(416)
            return
        self.send_response(206 if start and server.status == 200 else server.status)
        if server.etag:
            self.send_header("ETag", server.etag)
        if server.location:
            self.send_header("Location", server.location)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(server.body) - 1}/{len(server.body)}")
        rest = server.body[start:]
        if server.says_length:
            self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest[: server.cuts.pop(0)] if server.cuts else rest)

    def log_message(self, *_args: object) -> None:
        """Keep the test output quiet."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.go_on.set()
        server.shutdown()
        thread.join(20)


@pytest.fixture
def part(tmp_path: Path) -> Path:
    return tmp_path / "model.part"


def test_progress_ends_at_the_full_length(server: Server, part: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    fetch(server.url, part, lambda done, total: seen.append((done, total)))
    assert part.read_bytes() == BODY
    assert seen[0] == (0, len(BODY))
    assert seen[-1] == (len(BODY), len(BODY))


def test_broken_connection_is_resumed_at_its_offset(server: Server, part: Path) -> None:
    server.cuts = [100_000, 50_000]
    fetch(server.url, part)
    assert part.read_bytes() == BODY
    assert server.asked == [None, "bytes=100000-", "bytes=150000-"]


def test_partial_download_is_resumed_by_a_later_call(server: Server, part: Path) -> None:
    server.cuts = [100_000, 0]
    with pytest.raises(SourceError, match=r"ended after 0\.1 MB of 0\.5 MB; run it again"):
        fetch(server.url, part)
    fetch(server.url, part)
    assert part.read_bytes() == BODY
    assert server.asked[-1] == "bytes=100000-"


def test_changed_file_is_fetched_from_the_start(server: Server, part: Path) -> None:
    server.cuts = [100_000, 0]
    with pytest.raises(SourceError):
        fetch(server.url, part)
    server.body, server.etag = BODY[::-1], '"two"'
    fetch(server.url, part)
    assert part.read_bytes() == BODY[::-1]


def test_download_without_an_etag_is_not_resumed(server: Server, part: Path) -> None:
    server.etag = ""
    server.cuts = [100_000, 0]
    with pytest.raises(SourceError):
        fetch(server.url, part)
    fetch(server.url, part)
    assert part.read_bytes() == BODY
    assert set(server.asked) == {None}


def test_partial_download_of_another_address_is_not_resumed(server: Server, part: Path) -> None:
    server.cuts = [100_000, 0]
    with pytest.raises(SourceError):
        fetch(server.url + "?old", part)
    fetch(server.url, part)
    assert server.asked[-1] is None


def test_complete_leftover_file_is_fetched_again(server: Server, part: Path) -> None:
    part.write_bytes(BODY)
    part.with_name("model.part.mark").write_text(f'{{"url": "{server.url}", "validator": "\\"one\\""}}')
    fetch(server.url, part)
    assert part.read_bytes() == BODY
    assert server.asked == [f"bytes={len(BODY)}-", None]


def test_silent_server_times_out(server: Server, part: Path) -> None:
    server.go_on.clear()
    with pytest.raises(SourceError, match="timed out"):
        fetch(server.url, part, timeout_s=0.2)


@pytest.mark.parametrize(("status", "hint"), [(404, "Not Found$"), (503, "try again later$")])
def test_http_error_is_named(server: Server, part: Path, status: int, hint: str) -> None:
    server.status = status
    with pytest.raises(SourceError, match=f"HTTP {status} .*{hint}"):
        fetch(server.url, part)


def test_redirect_from_http_to_http_is_followed(server: Server, part: Path) -> None:
    server.status, server.location = 302, server.url + "?again"
    with pytest.raises(SourceError, match=r"HTTP 302 .*infinite loop"):
        fetch(server.url, part)
    assert len(server.asked) > 1


@pytest.mark.parametrize("target", ["http://example.org/model.onnx", "ftp://example.org/model.onnx"])
def test_redirect_away_from_https_is_rejected(target: str) -> None:
    request = Request("https://example.org/model.onnx")
    with pytest.raises(SourceError, match="not https"):
        Redirects().redirect_request(request, BytesIO(), 302, "Found", Message(), target)


def test_unreachable_server_is_reported_with_the_remedy(part: Path) -> None:
    with pytest.raises(SourceError, match=r"127\.0\.0\.1:9/.*mirror directory"):
        fetch("http://127.0.0.1:9/model.onnx", part)


def test_file_larger_than_the_disk_is_rejected_before_the_first_byte(
    server: Server, part: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _path: type("Usage", (), {"free": 1_000}))
    with pytest.raises(StoreError, match=r"disk full: 0\.5 MB needed, 0\.0 MB free"):
        fetch(server.url, part)
    assert not part.exists()


def test_disk_full_during_a_download_is_named(server: Server, part: Path) -> None:
    """The kernel refuses to let the file grow past 200 kB, which a limit on this process would do to pytest."""
    server.says_length = False
    code = (
        "import resource, sys; from pathlib import Path; from engines.store.fetch import fetch\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))\n"
        "fetch(sys.argv[1], Path(sys.argv[2]))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, server.url, str(part)], capture_output=True, text=True, timeout=60, check=False
    )
    assert "StoreError" in ended.stderr.splitlines()[-1]
    assert "disk full" in ended.stderr.splitlines()[-1]
    assert not list(part.parent.iterdir())


@pytest.mark.parametrize("says_length", [True, False])
def test_download_that_is_too_large_is_stopped_and_not_kept(server: Server, tmp_path: Path, says_length: bool) -> None:
    server.says_length = says_length
    progress: list[int] = []
    with pytest.raises(SourceError, match=r"at most 0\.3 MB are expected"):
        fetch(server.url, tmp_path / "part", lambda done, _: progress.append(done), max_bytes=300_000)
    assert list(tmp_path.iterdir()) == []
    assert max(progress, default=0) <= 300_000


HEAD = b"HTTP/1.1 200 OK\r\n"
HOSTILE = {
    "a reason with escapes": b"HTTP/1.1 500 \x1b]0;owned\x07" + b"x" * 9000 + b"\r\n\r\n",
    "a length that is no number": HEAD + b"Content-Length: \xb2\r\n\r\n",
    "a length of many digits": HEAD + b"Content-Length: " + b"9" * 6000 + b"\r\n\r\n",
    "a redirect to no address": b"HTTP/1.1 302 Found\r\nLocation: http://[::1\r\n\r\n",
    "no HTTP": b"\x1b[2J" + b"y" * 9000 + b"\r\n\r\n",
}


@pytest.mark.parametrize("answer", HOSTILE.values(), ids=HOSTILE)
def test_hostile_answer_is_a_short_printable_error_or_a_file(answer: bytes, part: Path) -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(answer)

    with tcp_server(serve) as port:
        text = refusal(f"http://127.0.0.1:{port}/x", part)
    assert text.isprintable()
    assert len(text) < 500


def refusal(url: str, part: Path) -> str:
    """Why the file is not fetched; empty: it is."""
    try:
        fetch(url, part, timeout_s=5)
    except SourceError as error:
        return str(error)
    return ""
