#!/bin/sh
# PyAV 18.1.0 (FFmpeg 8.1), Motion JPEG over HTTP: frame times are number / 25, whatever the camera's rate is and whatever it
# says in its parts (X-Timestamp, as several makers send). Nothing shows that they are made up: at 5 Hz a second of the stream
# lasts 0.2 s, and after a pause of the camera times go on as if there had been none. With use_wallclock_as_timestamps=1
# they are those of arrival, but the first three pictures share one, as they are read while the stream is probed.
#
# Seen (12 pictures at 5 Hz, with a pause of 2 s before the eighth):
#   as it is: 0.04 s from one to the next, all of them
#   wall clock: first to third 0.0 s, seventh to eighth 2 s
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import io
import socket
import threading
import time

import av
import numpy as np

INTERVAL_S, PAUSE_S = 0.2, 2.0


def jpeg() -> bytes:
    out = io.BytesIO()
    with av.open(out, "w", format="mjpeg") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuvj420p"
        frame = av.VideoFrame.from_ndarray(np.full((96, 160, 3), 100, np.uint8), format="rgb24")
        container.mux(stream.encode(frame.reformat(format="yuvj420p")))
        container.mux(stream.encode())
    return out.getvalue()


def camera(listener: socket.socket, picture: bytes) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=part\r\n\r\n")
        for number in range(12):
            time.sleep(PAUSE_S if number == 7 else INTERVAL_S)
            head = f"Content-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\nX-Timestamp: {time.time():.3f}"
            connection.sendall(f"--part\r\n{head}\r\n\r\n".encode() + picture + b"\r\n")


picture, gaps = jpeg(), {}
for name, options in (("as it is", {}), ("wall clock", {"use_wallclock_as_timestamps": "1"})):
    times = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=camera, args=(listener, picture), daemon=True).start()
        with av.open(f"http://127.0.0.1:{listener.getsockname()[1]}/video", options=options, timeout=20) as opened:
            try:
                for frame in opened.decode(video=0):
                    times.append(frame.time)
            except OSError:  # the camera has hung up
                pass
    assert len(times) == 12, times
    gaps[name] = [round(after - before, 2) for before, after in zip(times, times[1:])]
print(f"as it is: {gaps['as it is'][0]} s from one to the next, all of them")
first_s, pause_s = sum(gaps["wall clock"][:2]), gaps["wall clock"][6]
print(f"wall clock: first to third {first_s:.1f} s, seventh to eighth {pause_s:.0f} s")
assert set(gaps["as it is"]) == {0.04}, gaps
assert first_s < INTERVAL_S / 2 and pause_s > PAUSE_S - 0.5, gaps
PYTHON
