#!/bin/sh
# zeroconf 0.154.0: boxes made from one image have the same host name. register_service finds that a *service* name is taken
# (NonUniqueNameException) but never asks for the host name, which RFC 6762 (8.1) wants probed as well: both register,
# both answer for it, and whoever looks one box up gets the addresses of both, in either order. The port is of the box that was
# asked for; parsed_addresses()[0], which is what one connects to, may be the other box's.
#
# Seen (two boxes, 127.0.0.11 and 127.0.0.12, each with its own service and the host jetson.local):
#   the second box with its own service name: registered
#   the second box with the first one's service name: NonUniqueNameException
#   addresses of stall: 127.0.0.11 127.0.0.12, port 8001
#   addresses of yard: 127.0.0.11 127.0.0.12, port 8002
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check zeroconf==0.154.0
"$folder/venv/bin/python" - <<'PYTHON'
import socket
import time

from zeroconf import NonUniqueNameException, ServiceInfo, Zeroconf

TYPE, HOST = "_findings-hosts._tcp.local.", "jetson.local."


def box(name: str, address: str, port: int) -> ServiceInfo:
    return ServiceInfo(TYPE, f"{name}.{TYPE}", addresses=[socket.inet_aton(address)], port=port, server=HOST)


def registered(daemon: Zeroconf, info: ServiceInfo) -> str:
    try:
        daemon.register_service(info)
    except NonUniqueNameException as exc:
        return type(exc).__name__
    return "registered"


one, two, looker = (Zeroconf(interfaces=["127.0.0.1"]) for _ in range(3))
try:
    assert registered(one, box("stall", "127.0.0.11", 8001)) == "registered"
    seen = [registered(two, box("yard", "127.0.0.12", 8002)), registered(two, box("stall", "127.0.0.12", 8002))]
    print(f"the second box with its own service name: {seen[0]}")
    print(f"the second box with the first one's service name: {seen[1]}")
    time.sleep(1)
    for name in ("stall", "yard"):
        found = looker.get_service_info(TYPE, f"{name}.{TYPE}", timeout=5000)
        assert found is not None
        addresses = sorted(found.parsed_addresses())
        seen.append((addresses, found.port))
        print(f"addresses of {name}: {' '.join(addresses)}, port {found.port}")
finally:
    for daemon in (one, two, looker):
        daemon.close()
both = ["127.0.0.11", "127.0.0.12"]
assert seen == ["registered", "NonUniqueNameException", (both, 8001), (both, 8002)], seen
PYTHON
