#!/bin/sh
# PyAV 18.1.0 (FFmpeg 8.1), RTSP: a camera sets its clock by NTP while it streams; the RTP timestamps go on evenly, only the
# wall-clock time in its RTCP reports jumps, as it should. If the camera offers nothing but video, frame times go on. If it
# also offers sound, or ONVIF's metadata, which nobody reads here, they jump by the same 100 s, and where the clock was
# put BACK 100 s, by 13 hours forwards (2^32 ticks of 90 kHz less 100 s). allowed_media_types=video keeps them even.
#
# Seen (60 frames at 10 Hz; time of the frames 18 to 21, the clock is set at frame 20):
#   video alone, clock + 100 s: 1.8 1.9 2.0 2.1
#   video and metadata, clock right: 1.8 1.9 2.0 2.1
#   video and metadata, clock + 100 s: 1.8 1.9 102.0 102.1
#   video and metadata, clock - 100 s: 1.8 1.9 47623.9 47624.0
#   the same, allowed_media_types=video: 1.8 1.9 2.0 2.1
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
METADATA = "m=application 0 RTP/AVP 107\r\na=rtpmap:107 vnd.onvif.metadata/90000\r\na=control:metadata\r\n"
SET_AT, SINCE_1900_S = 20, 2208988800
SOURCE = 7  # of the RTP packets


def pictures() -> list[list[bytes]]:
    """60 encoded frames, each as its NAL units."""
    context = av.CodecContext.create("libx264", "w")
    context.width, context.height, context.pix_fmt = 160, 96, "yuv420p"
    context.framerate, context.time_base = 10, Fraction(1, 10)
    context.options = {"tune": "zerolatency", "g": "10"}
    made = []
    for number in range(60):
        frame = av.VideoFrame(160, 96, "yuv420p")
        for plane in frame.planes:
            plane.update(bytes([4 * number]) * plane.buffer_size)
        frame.pts = number
        for packet in context.encode(frame):
            made.append([unit for unit in re.split(b"\0\0\0?\1", bytes(packet)) if unit])
    return made


def send(connection: socket.socket, channel: int, packet: bytes) -> None:
    connection.sendall(struct.pack("!cBH", b"$", channel, len(packet)) + packet)


def stream(connection: socket.socket, clock_s: float) -> None:
    """RTP of all pictures, with a report of the camera's clock every 2 s; it is set by so much at the second one."""
    count = 0
    for number, units in enumerate(PICTURES):
        ticks = 1000 + 9000 * number
        if number % 20 == 0:
            now_s = SINCE_1900_S + 1_800_000_000 + number // 10 + (clock_s if number >= SET_AT else 0)
            report = struct.pack("!BBHIIIIII", 0x80, 200, 6, SOURCE, int(now_s), 0, ticks, count, 100 * count)
            send(connection, 1, report)
        for unit in units:
            last = 0x80 if unit is units[-1] else 0
            send(connection, 0, struct.pack("!BBHII", 0x80, 96 | last, count, ticks, SOURCE) + unit)
            count += 1


def camera(listener: socket.socket, sdp: str, clock_s: float) -> None:
    connection, _ = listener.accept()
    with connection, connection.makefile("rb") as lines:
        while first := lines.readline():
            head = [line.decode().strip() for line in iter(lines.readline, b"\r\n")]
            answer = [line for line in head if line.lower().startswith(("cseq", "transport"))]
            body = sdp if first.startswith(b"DESCRIBE") else ""
            answer += ["Session: 1", "Public: OPTIONS, DESCRIBE, SETUP, PLAY", "Content-Type: application/sdp"]
            answer += [f"Content-Length: {len(body)}"]
            connection.sendall("\r\n".join(["RTSP/1.0 200 OK", *answer, "", body]).encode())
            if first.startswith(b"PLAY"):
                stream(connection, clock_s)
                break


PICTURES = pictures()
seen = []
for name, sdp, clock_s, options in (
    ("video alone, clock + 100 s", SDP, 100, {}),
    ("video and metadata, clock right", SDP + METADATA, 0, {}),
    ("video and metadata, clock + 100 s", SDP + METADATA, 100, {}),
    ("video and metadata, clock - 100 s", SDP + METADATA, -100, {}),
    ("the same, allowed_media_types=video", SDP + METADATA, -100, {"allowed_media_types": "video"}),
):
    times = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=camera, args=(listener, sdp, clock_s), daemon=True).start()
        address = f"rtsp://127.0.0.1:{listener.getsockname()[1]}/live"
        with av.open(address, options={"rtsp_transport": "tcp", **options}, timeout=20) as opened:
            try:
                times += [frame.time for frame in opened.decode(video=0)]
            except (EOFError, OSError):  # the camera has hung up
                pass
    seen.append([round(one, 1) for one in times[SET_AT - 2 : SET_AT + 2]])
    print(f"{name}: {' '.join(map(str, seen[-1]))}")
even = [1.8, 1.9, 2.0, 2.1]
assert seen == [even, even, [1.8, 1.9, 102.0, 102.1], [1.8, 1.9, 47623.9, 47624.0], even], seen
PYTHON
