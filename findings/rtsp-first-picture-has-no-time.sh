#!/bin/sh
# PyAV 18.1.0 (FFmpeg 8.1), H.264 over RTSP: the first picture of each connection, whole and a key frame, has no time
# (`frame.time` and `frame.pts` are None), though its RTP packets have one, RTP-Info tells at PLAY which one is 0, and the
# camera's clock report came before. From the second on each has its own. So int(frame.time * 1000) fails at the first
# picture of every reconnection, and with `or 0` it is luck that it is right.
#
# Seen (20 frames at 10 Hz; times of the first six):
#   no RTP-Info: key frame True; None 0.1 0.2 0.3 0.4 0.5; without a time: 1 of 20
#   RTP-Info: key frame True; None 0.1 0.2 0.3 0.4 0.5; without a time: 1 of 20
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
from fractions import Fraction

import av

SDP = (
    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\n"
    "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\na=control:video\r\n"
)
SINCE_1900_S = 2208988800
SOURCE = 7  # of the RTP packets


def pictures() -> list[list[bytes]]:
    """20 encoded frames, each as its NAL units."""
    context = av.CodecContext.create("libx264", "w")
    context.width, context.height, context.pix_fmt = 160, 96, "yuv420p"
    context.framerate, context.time_base = 10, Fraction(1, 10)
    context.options = {"tune": "zerolatency", "g": "5"}
    made = []
    for number in range(20):
        frame = av.VideoFrame(160, 96, "yuv420p")
        for plane in frame.planes:
            plane.update(bytes([10 * number]) * plane.buffer_size)
        frame.pts = number
        for packet in context.encode(frame):
            made.append([unit for unit in re.split(b"\0\0\0?\1", bytes(packet)) if unit])
    return made


def send(connection: socket.socket, channel: int, packet: bytes) -> None:
    connection.sendall(struct.pack("!cBH", b"$", channel, len(packet)) + packet)


def stream(connection: socket.socket) -> None:
    """A report of the camera's clock, and RTP of all pictures."""
    report = struct.pack("!BBHIIIIII", 0x80, 200, 6, SOURCE, SINCE_1900_S + 1_800_000_000, 0, 1000, 0, 0)
    send(connection, 1, report)
    count = 0
    for number, units in enumerate(PICTURES):
        for unit in units:
            last = 0x80 if unit is units[-1] else 0
            send(connection, 0, struct.pack("!BBHII", 0x80, 96 | last, count, 1000 + 9000 * number, SOURCE) + unit)
            count += 1


def camera(listener: socket.socket, start: list[str]) -> None:
    connection, _ = listener.accept()
    with connection, connection.makefile("rb") as lines:
        while first := lines.readline():
            head = [line.decode().strip() for line in iter(lines.readline, b"\r\n")]
            answer = [line for line in head if line.lower().startswith(("cseq", "transport"))]
            body = SDP if first.startswith(b"DESCRIBE") else ""
            answer += ["Session: 1", "Public: OPTIONS, DESCRIBE, SETUP, PLAY", "Content-Type: application/sdp"]
            answer += [f"Content-Length: {len(body)}"] + (start if first.startswith(b"PLAY") else [])
            connection.sendall("\r\n".join(["RTSP/1.0 200 OK", *answer, "", body]).encode())
            if first.startswith(b"PLAY"):
                stream(connection)
                break


PICTURES = pictures()
seen = []
for name, start in (("no RTP-Info", []), ("RTP-Info", ["RTP-Info: url=video;seq=0;rtptime=1000"])):
    frames = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=camera, args=(listener, start), daemon=True).start()
        address = f"rtsp://127.0.0.1:{listener.getsockname()[1]}/live"
        with av.open(address, options={"rtsp_transport": "tcp"}, timeout=20) as opened:
            try:
                frames += list(opened.decode(video=0))
            except (EOFError, OSError):  # the camera has hung up
                pass
    times = [None if frame.time is None else round(frame.time, 1) for frame in frames]
    seen.append((frames[0].key_frame, times[0], times[1:6], times.count(None)))
    print(f"{name}: key frame {seen[-1][0]}; {' '.join(map(str, times[:6]))}; without a time: {seen[-1][3]} of {len(times)}")
assert seen == [(True, None, [0.1, 0.2, 0.3, 0.4, 0.5], 1)] * 2, seen
PYTHON
