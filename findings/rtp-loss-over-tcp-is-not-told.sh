#!/bin/sh
# FFmpeg tells nothing of RTP packets that are missing in RTSP over TCP, as where a camera leaves them out because its
# buffer is full: no message at any level, no mark on a packet. With reorder_queue_size=2 it does, "RTP: missed 1
# packets", and then leaves out all packets of a camera that begins anew with lower sequence numbers, until they have
# caught up. Without it, the first packet after such a jump is refused ("bad cseq"). av 18.1.0, FFmpeg 8.
#
# Seen (of 40 packets sent: got; words):
#   one missing:            39; none          with reorder_queue_size=2: 39; missed
#   number jumps by -9000:  39; bad cseq      with reorder_queue_size=2: 20; dropping old packet
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/v"
"$folder/v/bin/pip" install --quiet --disable-pip-version-check av==18.1.0
"$folder/v/bin/python" - <<'PYTHON'
import socket
import struct
import threading

import av

SDP = "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=a\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\nm=audio 0 RTP/AVP 0\r\na=control:a\r\n"
WORDS = ("missed", "bad cseq", "dropping old packet")
av.logging.set_level(av.logging.VERBOSE)


def camera(listener, numbers):
    connection, _ = listener.accept()
    with connection, connection.makefile("rb") as requests:
        method = ""
        while method != "PLAY":
            method, cseq = requests.readline().decode().split()[0], ""
            while (line := requests.readline().decode().strip()) != "":
                cseq = line if line.lower().startswith("cseq") else cseq
            body = SDP if method == "DESCRIBE" else ""
            head = f"RTSP/1.0 200 OK\r\n{cseq}\r\nSession: 1\r\nPublic: DESCRIBE, SETUP, PLAY\r\n"
            head += "Content-Type: application/sdp\r\n" if body else ""
            head += "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n" if method == "SETUP" else ""
            connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        for step, number in numbers:
            rtp = struct.pack(">BBHII", 0x80, 0, number, 9000 + 160 * step, 7) + bytes(160)
            connection.sendall(b"$\0" + struct.pack(">H", len(rtp)) + rtp)


def run(numbers, options):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=camera, args=(listener, numbers))
        thread.start()
        url = f"rtsp://127.0.0.1:{listener.getsockname()[1]}/a"
        with av.logging.Capture() as logs, av.open(url, options={"rtsp_transport": "tcp"} | options, timeout=5) as stream:
            packets = [packet for packet in stream.demux() if packet.size]
        thread.join()
    assert not any(packet.is_corrupt for packet in packets)
    text = " ".join(message for _, _, message in logs)
    return len(packets), [word for word in WORDS if word in text]


missing = [(n, 20000 + n) for n in range(40) if n != 20]
jump = [(n, 20000 + n - 9000 * (n >= 20)) for n in range(40)]
seen = [run(numbers, options) for numbers in (missing, jump) for options in ({}, {"reorder_queue_size": "2"})]
print(av.__version__, seen)
assert seen == [(39, []), (39, ["missed"]), (39, ["bad cseq"]), (20, ["dropping old packet"])], seen
PYTHON
