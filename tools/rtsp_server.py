"""A small RTSP server, a network camera for tests and soaks: H.264, H.265, over interleaved TCP, faults on command.

Runs in a thread of its own.

Sources: RFC 2326 (RTSP), RFC 6184 (H.264 in RTP), RFC 7798 (H.265).
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import re
import socket
import ssl
import struct
import sys
import threading
from base64 import b64encode
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path
from secrets import token_hex
from typing import Any, Literal

import av
import numpy as np

from edged.frame import U8

CLOCK_HZ = 90_000
PAYLOAD_TYPE = 96
MAX_BYTES = 1400  # of one RTP payload
IDR, SPS, PPS, FU_A = 5, 7, 8, 28
H265_FU = 49
REALM, NONCE = "test", "8f3c"
PARAMETER = re.compile(r'(\w+)=(?:"([^"]*)"|([^",\s]*))')


@dataclass(frozen=True)
class Clip:
    """Encoded frames, each a list of NAL units. It begins with an IDR frame and repeats its parameter sets at each."""

    frames: list[list[bytes]]
    rate_hz: int
    codec: Literal["H264", "H265"] = "H264"

    def parameter_set(self, kind: int) -> bytes:
        return next(nal for frame in self.frames for nal in frame if nal[0] & 31 == kind)


def encode(size_wh: tuple[int, int] = (320, 180), count: int = 30, rate_hz: int = 15) -> Clip:
    """Return a clip of one image: the left half black, the right white."""
    halves = np.zeros((size_wh[1], size_wh[0], 3), np.uint8)
    halves[:, size_wh[0] // 2 :] = 255
    return encoded(repeat(halves, count), rate_hz)


def encoded(
    images: Iterable[U8],
    rate_hz: int,
    gop: int = 5,
    options: dict[str, str] | None = None,
    codec_name: Literal["H264", "H265"] = "H264",
) -> Clip:
    """Return BGR images encoded without B-frames, as by a camera. `options`: more of FFmpeg's for the encoder."""
    rest = iter(images)
    first = next(rest)
    codec: Any = av.CodecContext.create({"H264": "libx264", "H265": "libx265"}[codec_name], "w")
    codec.height, codec.width = first.shape[:2]
    codec.pix_fmt, codec.framerate, codec.gop_size = "yuv420p", rate_hz, gop
    codec.options = {"preset": "ultrafast", "tune": "zerolatency"} | (options or {})
    packets = []
    for image in chain([first], rest):
        packets += codec.encode(av.VideoFrame.from_ndarray(image, format="bgr24"))
    packets += codec.encode(None)
    return Clip([_nals(bytes(packet)) for packet in packets], rate_hz, codec_name)


def _nals(annex_b: bytes) -> list[bytes]:
    return [nal for nal in re.split(rb"\x00{2,3}\x01", annex_b) if nal]


class RtspServer:
    """Serves one clip in a loop on one port.

    Faults: stalled, password, missing, mute, another codec than announced, an audio track, a late key frame, drop,
    reset, stop and start.
    """

    def __init__(self, clip: Clip) -> None:
        self.clip = clip
        self.stalled = False
        self.mute = False  # accepts connections and sends nothing
        self.missing = False
        self.codec: str = clip.codec  # announced; that of the stream is the clip's
        self.lost: frozenset[tuple[int, int]] = frozenset()  # packets that are not sent: frame since PLAY, packet in it
        self.login: tuple[str, str] | None = None
        self.digest: tuple[str, ...] = ()  # algorithms that are asked for, in this order; empty: basic
        self.nonce_uses = 0  # requests that a nonce of a digest is good for; 0: any number
        self.hangs_up = False  # closes the connection with each challenge
        self.audio: Literal["no", "only", "refused"] = "no"  # refused: announced, and SETUP of it fails
        self.control = "track0"  # of the video track, in its description
        self.refusals: dict[str, str] = {}  # the status of a reply, by method
        self.first_frame = 0  # of the clip, that a viewer gets
        self.setups: list[str] = []  # addresses of the tracks that were set up
        self.tls: ssl.SSLContext | None = None  # then it speaks RTSPS
        self.port = 0
        self.played = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._nonce, self._nonce_used = NONCE, 0
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"rtsp://127.0.0.1:{self.port}/live"

    def start(self) -> None:
        """Listen; after a stop, on the same port again."""
        self._run(self._listen())

    def stop(self) -> None:
        self._run(self._stop_listening())

    def drop(self, *, reset: bool = False) -> None:
        """Close all connections, with FIN or with RST."""
        self._run(self._drop(reset))

    def close(self) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def _run(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(5)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._drop(False)

    async def _drop(self, reset: bool) -> None:
        for writer in list(self._writers):
            if reset:
                linger = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort() if reset else writer.close()
        await asyncio.sleep(0.05)  # for the tasks to end

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        playing: asyncio.Task[None] | None = None
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                method, url, headers = await _request(reader)
                if self.mute:
                    continue
                answer = self._answer(method, url, headers)
                writer.write(answer)
                await writer.drain()
                if self.hangs_up and b" 401 " in answer.partition(b"\r\n")[0]:
                    break
                if method == "PLAY" and playing is None:
                    playing = asyncio.create_task(self._play_until_gone(writer))
                if method == "TEARDOWN":
                    break
        if playing is not None:
            playing.cancel()
        self._writers.discard(writer)
        writer.close()

    def _answer(self, method: str, url: str, headers: dict[str, str]) -> bytes:
        lines = [f"CSeq: {headers.get('cseq', '0')}", "Session: 1"]
        if method != "OPTIONS" and not self._authorised(method, headers):
            return _reply("401 Unauthorized", [*lines, *self._challenges()])
        if method == "DESCRIBE" and self.missing:
            return _reply("404 Not Found", lines)
        if method in self.refusals:
            return _reply(self.refusals[method], lines)
        if method == "DESCRIBE":
            return _reply("200 OK", [*lines, f"Content-Base: {url}/", "Content-Type: application/sdp"], self._sdp())
        if method == "SETUP":
            self.setups.append(url)
            if url.endswith("audio"):
                return _reply("461 Unsupported Transport", lines)
            lines.append("Transport: RTP/AVP/TCP;unicast;interleaved=0-1")
        return _reply("200 OK", [*lines, "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN"])

    def _authorised(self, method: str, headers: dict[str, str]) -> bool:
        if self.login is None:
            return True
        user, password = self.login
        authorization = headers.get("authorization", "")
        if not self.digest:
            return authorization == "Basic " + b64encode(f"{user}:{password}".encode()).decode()
        fields = {name: quoted or plain for name, quoted, plain in PARAMETER.findall(authorization)}
        algorithm = fields.get("algorithm", "MD5")
        if algorithm not in self.digest or fields.get("nonce") != self._nonce or self._nonce_is_used_up():
            return False
        self._nonce_used += 1
        return fields.get("response") == _response(algorithm, user, password, method, fields)

    def _nonce_is_used_up(self) -> bool:
        return 0 < self.nonce_uses <= self._nonce_used

    def _challenges(self) -> list[str]:
        """As of a camera; those with SHA-2 have `qop`, which RFC 7616 wants, and old ones with MD5 have none."""
        if not self.digest:
            return [f'WWW-Authenticate: Basic realm="{REALM}"']
        if self._nonce_is_used_up():
            self._nonce, self._nonce_used = token_hex(8), 0
        start = f'WWW-Authenticate: Digest realm="{REALM}", nonce="{self._nonce}"'
        return [f"{start}, algorithm={name}" + ', qop="auth"' * (name != "MD5") for name in self.digest]

    def _sdp(self) -> str:
        parameters = ""
        if self.clip.codec == "H264":
            sets = [b64encode(self.clip.parameter_set(kind)).decode() for kind in (SPS, PPS)]
            parameters = f"packetization-mode=1;sprop-parameter-sets={','.join(sets)}"
        head = ["v=0", "o=- 0 0 IN IP4 127.0.0.1", "s=test", "c=IN IP4 0.0.0.0", "t=0 0"]
        audio = ["m=audio 0 RTP/AVP 0", "a=rtpmap:0 PCMU/8000", "a=control:audio"]
        if self.audio == "only":
            return "\r\n".join([*head, *audio, ""])
        lines = [
            *(head if self.audio == "no" else [*head, *audio]),
            *(f"m=video 0 RTP/AVP {PAYLOAD_TYPE}", f"a=rtpmap:{PAYLOAD_TYPE} {self.codec}/{CLOCK_HZ}"),
            *([f"a=fmtp:{PAYLOAD_TYPE} {parameters}"] if parameters else []),
            *(f"a=framerate:{self.clip.rate_hz}", f"a=control:{self.control}", ""),
        ]
        return "\r\n".join(lines)

    async def _play_until_gone(self, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await self._play(writer)

    async def _play(self, writer: asyncio.StreamWriter) -> None:
        clip, begun_s = self.clip, self._loop.time()
        number = sequence = 0
        start = -self.first_frame
        while not writer.is_closing():
            if self.clip is not clip:
                clip, start = self.clip, number
            if not self.stalled:
                nals = clip.frames[(number - start) % len(clip.frames)]
                for index, (payload, last) in enumerate(_payloads(nals, clip.codec)):
                    if (number - start, index) not in self.lost:
                        writer.write(_packet(payload, sequence, number * CLOCK_HZ // clip.rate_hz, last))
                    sequence += 1
                await writer.drain()
                self.played += 1
            number += 1
            await asyncio.sleep(begun_s + number / clip.rate_hz - self._loop.time())


async def _request(reader: asyncio.StreamReader) -> tuple[str, str, dict[str, str]]:
    begin = await reader.readexactly(1)
    while begin == b"$":  # the client's RTCP reports, between its requests
        _, length = struct.unpack(">BH", await reader.readexactly(3))
        await reader.readexactly(length)
        begin = await reader.readexactly(1)
    text = (begin + await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *rest = text.split("\r\n")
    method, url, _ = first.split(" ")
    headers = dict(line.split(": ", 1) for line in rest if ": " in line)
    return method, url, {name.lower(): value for name, value in headers.items()}


def _reply(status: str, lines: list[str], body: str = "") -> bytes:
    head = [f"RTSP/1.0 {status}", *lines, f"Content-Length: {len(body)}"]
    return ("\r\n".join([*head, "", ""]) + body).encode()


def _payloads(nals: list[bytes], codec: str) -> Iterator[tuple[bytes, bool]]:
    """Yield the RTP payloads of a frame, and whether it is the last; large units are fragmented (FU-A; FU of H.265)."""
    for nal in nals:
        final = nal is nals[-1]
        if len(nal) <= MAX_BYTES:
            yield nal, final
            continue
        size = 1 if codec == "H264" else 2  # of the unit's header
        head, kind = bytes([nal[0] & 0xE0 | FU_A]), nal[0] & 31
        if codec == "H265":
            head, kind = bytes([nal[0] & 0x81 | H265_FU << 1, nal[1]]), nal[0] >> 1 & 63
        rest = nal[size:]
        for at in range(0, len(rest), MAX_BYTES):
            first, last = at == 0, at + MAX_BYTES >= len(rest)
            marks = kind | 0x80 * first | 0x40 * last
            yield head + bytes([marks]) + rest[at : at + MAX_BYTES], final and last


def _packet(payload: bytes, sequence: int, stamp: int, last: bool) -> bytes:
    head = struct.pack(">BBHII", 0x80, PAYLOAD_TYPE | 0x80 * last, sequence & 0xFFFF, stamp & 0xFFFFFFFF, 0x1234)
    return b"$\0" + struct.pack(">H", len(head) + len(payload)) + head + payload


def _response(algorithm: str, user: str, password: str, method: str, fields: dict[str, str]) -> str:
    """The right answer of a digest. Source: RFC 7616, 3.4.1."""

    def hashed(*parts: str) -> str:
        name = algorithm.lower().replace("sha-", "sha").replace("-", "_")
        return hashlib.new(name, ":".join(parts).encode(), usedforsecurity=False).hexdigest()

    nonce, request = fields.get("nonce", ""), hashed(method, fields.get("uri", ""))
    counted = (fields.get("nc", ""), fields.get("cnonce", ""), "auth") if "qop" in fields else ()
    return hashed(hashed(user, REALM, password), nonce, *counted, request)


@contextmanager
def serving(clip: Clip, port: int = 0) -> Iterator[RtspServer]:
    """`port` 0: any free one."""
    server = RtspServer(clip)
    server.port = port
    server.start()
    try:
        yield server
    finally:
        server.close()


def clip_of_file(path: Path) -> Clip:
    """Return a video file encoded as a camera would. Raises OSError, `av.FFmpegError`, ValueError without frames."""
    with av.open(str(path)) as container:
        rate = container.streams.video[0].average_rate if container.streams.video else None
        if rate is None:
            raise ValueError(f"{path}: not a video")
        return encoded((frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)), max(1, round(rate)))


def main() -> int:
    """Serve a clip until Ctrl-C. 0; 1: the clip cannot be read, or the port is taken."""
    parser = argparse.ArgumentParser(prog="python -m tools.rtsp_server", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("clip", type=Path, metavar="CLIP", help="a video; it is played in a loop, on loopback only")
    parser.add_argument("--port", type=int, default=8554, help="(%(default)d; 0: any free one)")
    parser.add_argument("--user", metavar="NAME:PASSWORD", help="the login that is asked for")
    parser.add_argument("--for", dest="seconds", type=float, metavar="SECONDS", help="stop by itself after so long")
    args = parser.parse_args()
    try:
        clip = clip_of_file(args.clip)
    except (OSError, av.FFmpegError, ValueError, StopIteration) as error:
        print(f"{args.clip}: {error}", file=sys.stderr)
        return 1
    try:
        with serving(clip, args.port) as server:
            if args.user:
                name, _, password = args.user.partition(":")
                server.login = (name, password)
            print(f"{server.url} plays {args.clip}: {len(clip.frames)} frames, {clip.rate_hz} Hz", flush=True)
            threading.Event().wait(args.seconds)
    except OSError as error:
        print(f"port {args.port}: {error}; --port 0 takes any free one", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
