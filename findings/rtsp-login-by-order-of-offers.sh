#!/bin/sh
# PyAV 18.1.0 (FFmpeg 8.1) logs in to a camera that offers two kinds of login over RTSP, or does not, by the order of the
# offers. Of several `WWW-Authenticate: Digest` lines the last one counts; if that is SHA-256 (RFC 7616), which FFmpeg
# does not speak, it sends no login at all, although MD5 stood in the line above. Beside SHA-256 it does not take Basic
# either. Each time the error is 401 Unauthorized, as of a wrong password.
#
# Seen (what the second DESCRIBE brings):
#   MD5: login, Digest
#   SHA-256, then MD5: login, Digest
#   MD5, then SHA-256: no login, HTTPUnauthorizedError
#   SHA-256, then Basic: no login, HTTPUnauthorizedError
#   Basic: login, Basic
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0
"$folder/venv/bin/python" - <<'PYTHON'
import re
import socket
import threading

import av

OFFERS = {
    "MD5": 'Digest realm="camera", nonce="n", qop="auth"',
    "SHA-256": 'Digest realm="camera", nonce="n", algorithm=SHA-256, qop="auth"',
    "Basic": 'Basic realm="camera"',
}


def camera(listener: socket.socket, offers: list[str], logins: list[str]) -> None:
    """Answers requests of one connection: 401 with the offers; 404 to whoever brings a login."""
    connection, _ = listener.accept()
    with connection, connection.makefile("rb") as lines:
        while first := lines.readline():
            head = [line.decode().strip() for line in iter(lines.readline, b"\r\n")]
            number = next(line for line in head if line.lower().startswith("cseq"))
            login = next((line for line in head if line.startswith("Authorization:")), None)
            status, more = "401 Unauthorized", [f"WWW-Authenticate: {OFFERS[offer]}" for offer in offers]
            if first.startswith(b"OPTIONS"):
                status, more = "200 OK", ["Public: OPTIONS, DESCRIBE, SETUP, PLAY"]
            elif login:
                logins.append(login.split()[1])
                status, more = "404 Not Found", []
            connection.sendall("\r\n".join([f"RTSP/1.0 {status}", number, *more, "", ""]).encode())


seen = {}
for offers in (["MD5"], ["SHA-256", "MD5"], ["MD5", "SHA-256"], ["SHA-256", "Basic"], ["Basic"]):
    logins: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=camera, args=(listener, offers, logins), daemon=True).start()
        address = f"rtsp://user:password@127.0.0.1:{listener.getsockname()[1]}/live"
        try:
            av.open(address, options={"rtsp_transport": "tcp"}, timeout=10)
        except av.FFmpegError as error:
            name = ", then ".join(offers)
            seen[name] = f"login, {logins[0]}" if logins else f"no login, {type(error).__name__}"
            print(f"{name}: {seen[name]}")
refused = "no login, HTTPUnauthorizedError"
assert list(seen.values()) == ["login, Digest", "login, Digest", refused, refused, "login, Basic"], seen
PYTHON
