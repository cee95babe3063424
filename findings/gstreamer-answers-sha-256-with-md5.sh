#!/bin/sh
# GStreamer 1.22.0 (Debian 12): rtspsrc does not read which hash a camera's digest login wants. Asked for SHA-256
# (RFC 7616) it answers by MD5, in the form of 1997 (no qop, no algorithm), as if that had been asked for. The camera
# sees a wrong password, and may lock the user out after a few of these; FFmpeg 8.1 sends none. Where both are offered,
# realm and nonce of the last offer count: a camera that has a nonce for each hash lets it in only if MD5 stands last.
#
# Seen (password right; what is sent for the offers):
#   SHA-256: Digest of 32 digits, right by MD5, nonce of SHA-256
#   MD5, then SHA-256: Digest of 32 digits, right by MD5, nonce of SHA-256
#   SHA-256, then MD5: Digest of 32 digits, right by MD5, nonce of MD5
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
(
    cd "$folder"
    apt-get download -qq gstreamer1.0-tools=1.22.0-2+deb12u1 gstreamer1.0-plugins-good=1.22.0-5+deb12u4 \
        libgstreamer1.0-0=1.22.0-2+deb12u1 libgstreamer-plugins-base1.0-0=1.22.0-3+deb12u7
    for package in *.deb; do dpkg -x "$package" .; done
) || {
    echo "needs GStreamer 1.22.0 of Debian 12 (apt-get update)" >&2
    exit 2
}
libraries=$folder/usr/lib/$(dpkg-architecture -qDEB_HOST_MULTIARCH 2>/dev/null || echo x86_64-linux-gnu)
mkdir "$folder/plugins" # the four that are wanted: of the others some need more
for plugin in coreelements rtsp rtpmanager udp; do
    cp "$libraries/gstreamer-1.0/libgst$plugin.so" "$folder/plugins"
done
export LD_LIBRARY_PATH="$libraries" GST_PLUGIN_PATH="$folder/plugins" GST_PLUGIN_SYSTEM_PATH= GST_REGISTRY="$folder/registry"
export GST_REGISTRY_FORK=no
"$folder/usr/bin/gst-inspect-1.0" rtspsrc >/dev/null || {
    echo "needs what it depends on: apt-get install gstreamer1.0-plugins-good" >&2
    exit 2
}
python3 - "$folder/usr/bin/gst-launch-1.0" <<'PYTHON'
import hashlib
import re
import socket
import subprocess
import sys
import threading


def camera(listener: socket.socket, offers: list[str], logins: list[str]) -> None:
    """Answers requests of one connection: 401 with the offers; 404 to whoever brings a login."""
    connection, _ = listener.accept()
    with connection, connection.makefile("rb") as lines:
        while first := lines.readline():
            head = [line.decode().strip() for line in iter(lines.readline, b"\r\n")]
            number = next(line for line in head if line.lower().startswith("cseq"))
            login = next((line for line in head if line.startswith("Authorization:")), None)
            status = "401 Unauthorized"
            more = [f'WWW-Authenticate: Digest realm="r", nonce="{kind}", algorithm={kind}, qop="auth"' for kind in offers]
            if first.startswith(b"OPTIONS"):
                status, more = "200 OK", ["Public: OPTIONS, DESCRIBE, SETUP, PLAY"]
            elif login:
                logins.append(login)
                status, more = "404 Not Found", []
            connection.sendall("\r\n".join([f"RTSP/1.0 {status}", number, *more, "", ""]).encode())


def md5(*parts: str) -> str:
    return hashlib.md5(":".join(parts).encode()).hexdigest()


seen = {}
for offers in (["SHA-256"], ["MD5", "SHA-256"], ["SHA-256", "MD5"]):
    logins: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=camera, args=(listener, offers, logins), daemon=True).start()
        address = f"rtsp://127.0.0.1:{listener.getsockname()[1]}/live"
        login = ["user-id=user", "user-pw=password", "protocols=tcp"]
        command = [sys.argv[1], "rtspsrc", f"location={address}", *login, "!", "fakesink"]
        subprocess.run(command, capture_output=True, timeout=60)
    given = dict(re.findall(r'(\w+)="([^"]*)"', logins[0]))
    right = md5(md5("user", "r", "password"), given["nonce"], md5("DESCRIBE", address))
    by_md5 = given["response"] == right and "algorithm" not in logins[0] and "qop" not in logins[0]
    name = ", then ".join(offers)
    seen[name] = len(given["response"]), by_md5, given["nonce"]
    told = "right by MD5" if by_md5 else "of another kind"
    print(f"{name}: Digest of {seen[name][0]} digits, {told}, nonce of {given['nonce']}")
assert list(seen.values()) == [(32, True, "SHA-256"), (32, True, "SHA-256"), (32, True, "MD5")], seen
PYTHON
