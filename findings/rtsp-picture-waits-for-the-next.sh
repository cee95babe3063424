#!/bin/sh
# PyAV 18.1.0 (FFmpeg 8.1), H.264 over RTSP: a picture that has arrived whole, its last RTP packet marked as the last one
# (RFC 6184, 5.1), is not given out until the next picture begins to arrive: FFmpeg's parser finds the end of one by
# the beginning of another, and the mark is not looked at. So live pictures are late by one interval, a second at 1 Hz,
# whatever the network and the decoder do, and `fflags=nobuffer` and `low_delay`, which are what one is told to set,
# take nothing of it away. A time that is taken when the picture comes out is late as well.
#
# Seen (40 pictures are sent, then nothing for 3 s, then one more; the number of the last one that came):
#   as it is: 39; after the 41st was sent: 40
#   nobuffer and low_delay: 39; after the 41st was sent: 40
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0
"$folder/venv/bin/python" - <<'PYTHON'
import re
import socket
import struct
import threading
import time
from fractions import Fraction

import av

SDP = (
    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\n"
    "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\na=control:video\r\n"
)
COUNT, SILENCE_S = 40, 3.0


def pictures() -> list[list[bytes]]:
    """Encoded frames, each as its NAL units: 40, and one more."""
    context = av.CodecContext.create("libx264", "w")
    context.width, context.height, context.pix_fmt = 160, 96, "yuv420p"
    context.framerate, context.time_base = 10, Fraction(1, 10)
    context.options = {"tune": "zerolatency", "g": "10"}
    made = []
    for number in range(COUNT + 1):
        frame = av.VideoFrame(160, 96, "yuv420p")
        for plane in frame.planes:
            plane.update(bytes([4 * number]) * plane.buffer_size)
        frame.pts = number
        for packet in context.encode(frame):
            made.append([unit for unit in re.split(b"\0\0\0?\1", bytes(packet)) if unit])
    return made


class Camera:
    """Sends 40 pictures, 20 ms apart, then waits for `go` before the next one, and for `end` before it hangs up."""

    def __init__(self, listener: socket.socket) -> None:
        self.silent, self.go, self.end = threading.Event(), threading.Event(), threading.Event()
        self._listener, self._count = listener, 0

    def run(self) -> None:
        connection, _ = self._listener.accept()
        with connection, connection.makefile("rb") as lines:
            while first := lines.readline():
                head = [line.decode().strip() for line in iter(lines.readline, b"\r\n")]
                answer = [line for line in head if line.lower().startswith(("cseq", "transport"))]
                body = SDP if first.startswith(b"DESCRIBE") else ""
                answer += ["Session: 1", "Public: OPTIONS, DESCRIBE, SETUP, PLAY", "Content-Type: application/sdp"]
                answer += [f"Content-Length: {len(body)}"]
                connection.sendall("\r\n".join(["RTSP/1.0 200 OK", *answer, "", body]).encode())
                if first.startswith(b"PLAY"):
                    break
            for number, units in enumerate(PICTURES):
                if number == COUNT:
                    self.silent.set()
                    self.go.wait()
                self._send(connection, 1000 + 9000 * number, units)
                time.sleep(0.02)
            self.end.wait()

    def _send(self, connection: socket.socket, ticks: int, units: list[bytes]) -> None:
        for unit in units:
            mark = 0x80 if unit is units[-1] else 0
            packet = struct.pack("!BBHII", 0x80, 96 | mark, self._count, ticks, 7) + unit
            connection.sendall(struct.pack("!cBH", b"$", 0, len(packet)) + packet)
            self._count += 1


def decode(opened: av.container.InputContainer, came: list[int]) -> None:
    try:
        came.extend(round(10 * (frame.time or 0)) + 1 for frame in opened.decode(video=0))
    except (EOFError, OSError):  # the camera has hung up
        pass


PICTURES = pictures()
seen = []
for name, options in (("as it is", {}), ("nobuffer and low_delay", {"fflags": "nobuffer", "flags": "low_delay"})):
    came: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        camera = Camera(listener)
        threading.Thread(target=camera.run, daemon=True).start()
        address = f"rtsp://127.0.0.1:{listener.getsockname()[1]}/live"
        with av.open(address, options={"rtsp_transport": "tcp", **options}, timeout=30) as opened:
            if options:
                opened.streams.video[0].codec_context.flags |= av.codec.context.Flags.low_delay
            reader = threading.Thread(target=decode, args=(opened, came))
            reader.start()
            assert camera.silent.wait(30)
            time.sleep(SILENCE_S)
            before = came[-1]
            camera.go.set()
            time.sleep(SILENCE_S)
            after = came[-1]
            camera.end.set()
            reader.join()
    seen.append((before, after, came[-1]))
    print(f"{name}: {before}; after the 41st was sent: {after}")
assert seen == [(COUNT - 1, COUNT, COUNT + 1)] * 2, seen
PYTHON
