"""Fetch one address into a file, resuming what an earlier attempt left there.

A resumed file is one file: the server must confirm (ETag or date) that it still serves what we began.
"""

from __future__ import annotations

import http
import http.client
import json
import logging
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from email.message import Message
from io import FileIO
from itertools import count
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from engines.errors import SourceError, StoreError
from engines.store.disk import (
    CHUNK_BYTES,
    check_free_space,
    check_size,
    megabytes,
    no_links,
    open_new,
    translate_os_errors,
)

log = logging.getLogger(__name__)

TIMEOUT_S = 30.0  # without a byte
MAX_SHOWN = 200  # characters of what a server says
MAX_RESUMED = 100  # times that one call takes up a broken connection
MAX_BYTES = 1 << 31  # an ONNX file cannot be larger: protobuf's own limit
RETRY_STATUS = (408, 425, 429, 500, 502, 503, 504)
CERTIFICATE_CURE = (
    "for a server with an authority of your own: put its certificate into /usr/local/share/ca-certificates, "
    "and run update-ca-certificates"
)
Progress = Callable[[int, int | None], None]  # bytes so far, and in all where the server says


def no_progress(_done: int, _total: int | None) -> None:
    """The progress callback that reports nothing."""


class _Broken(SourceError):
    """The connection ended early; what came is kept."""


class _TooLarge(SourceError):
    """More than there may be; what came is not kept."""


class Redirects(urllib.request.HTTPRedirectHandler):
    """Follow within https; never from https to anything weaker, never to a file."""

    def redirect_request(  # noqa: PLR0917  (the signature is not ours)
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        old, new = urlsplit(req.full_url).scheme, urlsplit(newurl).scheme
        if new not in ("https", old):
            raise SourceError(f"{req.full_url}: redirected to {_shown(newurl)}, which is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def fetch(
    url: str,
    part: Path,
    progress: Progress = no_progress,
    *,
    timeout_s: float = TIMEOUT_S,
    max_bytes: int = MAX_BYTES,
) -> None:
    """Bring all of `url` into `part`. A broken connection is taken up again as long as that brings bytes.

    Raises `SourceError` (what came is kept for the next call, unless it is too large) and `StoreError` (it is not).
    """
    for resumed in count():
        before = _size(part)
        try:
            _attempt(url, part, progress, timeout_s, max_bytes)
        except _Broken as exc:
            if _size(part) <= before or resumed >= MAX_RESUMED:
                raise
            log.info("%s; taking it up again", exc)
            continue
        except (StoreError, _TooLarge):
            part.unlink(missing_ok=True)  # give the space back
            _validator_file(part).unlink(missing_ok=True)
            raise
        _validator_file(part).unlink(missing_ok=True)
        return


def _attempt(url: str, part: Path, progress: Progress, timeout_s: float, max_bytes: int) -> None:
    have, validator = _resume_state(url, part)
    with _open(url, have, validator, timeout_s) as reply:
        start, total = _span(url, reply, have)
        if total is not None:
            _check_size(url, total, max_bytes)
            check_free_space(part.parent, total - start)
        with translate_os_errors(part):
            mark = json.dumps({"url": url, "validator": _validator(reply.headers)})
            with open_new(_validator_file(part)) as out:
                out.write(mark.encode())
            file = FileIO(part, "ab" if start else "wb", opener=no_links)
        with file:
            done = _copy_body(url, reply, file, start, total, progress=progress, max_bytes=max_bytes)
    if total is not None and done != total:
        raise _Broken(f"{url}: ended after {megabytes(done)} of {megabytes(total)}; run it again to resume")


def _check_size(url: str, count: int, max_bytes: int) -> None:
    try:
        check_size(url, count, max_bytes)
    except SourceError as exc:
        raise _TooLarge(str(exc)) from exc


def _resume_state(url: str, part: Path) -> tuple[int, str]:
    """Bytes that an earlier attempt left, and what proves that they are of the same file."""
    try:
        mark = json.loads(_validator_file(part).read_text())
    except (OSError, ValueError):
        return 0, ""
    same = mark.get("url") == url and mark.get("validator")
    return (_size(part), str(mark["validator"])) if same else (0, "")


def _open(url: str, have: int, validator: str, timeout_s: float) -> Any:
    request = urllib.request.Request(url, headers={"User-Agent": "edged", "Accept-Encoding": "identity"})  # noqa: S310
    if have:
        request.add_header("Range", f"bytes={have}-")
        request.add_header("If-Range", validator)
    try:
        return urllib.request.build_opener(Redirects).open(request, timeout=timeout_s)
    except urllib.error.HTTPError as exc:
        exc.close()
        if have and exc.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return _open(url, 0, "", timeout_s)  # nothing is left to resume: begin anew
        again = "; try again later" if exc.code in RETRY_STATUS else ""
        raise SourceError(f"{url}: HTTP {exc.code} {_shown(exc.reason)}{again}") from exc
    except urllib.error.URLError as exc:
        certificate = isinstance(exc.reason, ssl.SSLCertVerificationError)
        do = CERTIFICATE_CURE if certificate else "check the network, or use a mirror directory"
        raise SourceError(f"{url}: {_shown(exc.reason)}; {do}") from exc
    except (OSError, ValueError, http.client.HTTPException) as exc:  # ValueError: a redirect to what is no address
        raise _Broken(f"{url}: no answer ({_shown(repr(exc))}); run it again") from exc


def _span(url: str, reply: Any, have: int) -> tuple[int, int | None]:
    """Where the reply starts in the file, and how long the file is."""
    if getattr(reply, "status", None) == http.HTTPStatus.PARTIAL_CONTENT:
        unit, _, rest = str(reply.headers.get("Content-Range", "")).partition(" ")
        span, _, total = rest.partition("/")
        if unit != "bytes" or not span.startswith(f"{have}-"):
            raise SourceError(f"{url}: asked for bytes from {have}, got {_shown(f'{unit} {rest!r}')}")
        return have, _number(total)
    return 0, _number(reply.headers.get("Content-Length", ""))


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch("[0-9]{1,15}", text) else None


def _shown(said: object) -> str:
    """What a server said, for people: one line without control characters."""
    return ascii(str(said)[:MAX_SHOWN])[1:-1]


def _validator(headers: Message) -> str:
    """A strong ETag, or the date; "" where the server gives neither, and then nothing is resumed."""
    etag, date = str(headers.get("ETag", "")), str(headers.get("Last-Modified", ""))
    mark = etag if etag and not etag.startswith("W/") else date
    return mark if mark.isprintable() and len(mark) <= MAX_SHOWN else ""


def _copy_body(
    url: str, reply: Any, file: FileIO, done: int, total: int | None, *, progress: Progress, max_bytes: int
) -> int:
    progress(done, total)
    while chunk := _read(url, reply, done):
        _check_size(url, done + len(chunk), max_bytes)
        _write(file, chunk)
        done += len(chunk)
        progress(done, total)
    return done


def _read(url: str, reply: Any, done: int) -> bytes:
    try:
        return bytes(reply.read(CHUNK_BYTES))
    except (OSError, http.client.HTTPException) as exc:
        raise _Broken(f"{url}: broke off after {megabytes(done)} ({_shown(repr(exc))}); run it again") from exc


def _write(file: FileIO, chunk: bytes) -> None:
    left = memoryview(chunk)
    while left:
        with translate_os_errors(Path(str(file.name))):
            left = left[file.write(left) :]


def _validator_file(part: Path) -> Path:
    return part.with_name(part.name + ".mark")


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0
