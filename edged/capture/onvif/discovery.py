"""Cameras of this network: a WS-Discovery probe on every interface, by IPv4 and IPv6, and who answers it.

Source: OASIS WS-Discovery (2005/04), 2.4; ONVIF Core Specification 23.06, chapter 7.
"""

from __future__ import annotations

import re
import select
import socket
import time
import uuid
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import unquote, urlsplit, urlunsplit
from xml.etree.ElementTree import Element

import psutil

from edged.capture.onvif.soap import parse
from edged.errors import CameraLost
from edged.foreign_text import printable

GROUP, GROUP_6 = ("239.255.255.250", 3702), ("ff02::c", 3702)  # Source: WS-Discovery 1.1
MAX_DATAGRAM = 65535  # bytes; of UDP
MAX_CAMERAS = 256  # more answers than that are somebody's joke
MAX_ADDRESSES = 8  # of one answer
REPEAT_S = 0.5  # the probe goes out twice: UDP loses packets
HOPS = 1  # of the probe: this network, no other
PROBE = (
    '<?xml version="1.0"?><s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"'
    ' xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing"'
    ' xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery"><s:Header>'
    '<a:Action s:mustUnderstand="1">http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</a:Action>'
    "<a:MessageID>uuid:{id}</a:MessageID><a:ReplyTo>"
    "<a:Address>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:Address></a:ReplyTo>"
    '<a:To s:mustUnderstand="1">urn:schemas-xmlsoap-org:ws:2005:04:discovery</a:To></s:Header><s:Body><d:Probe>'
    '<d:Types xmlns:n="http://www.onvif.org/ver10/network/wsdl">n:NetworkVideoTransmitter</d:Types>'
    "</d:Probe></s:Body></s:Envelope>"
)


@dataclass(frozen=True, slots=True)
class FoundCamera:
    """Who answered a probe."""

    host: str  # where the answer came from; of IPv6 with its zone, like "fe80::1%eth0"
    service: str  # address of its device service, at that host
    name: str  # what it calls itself; may be empty
    hardware: str
    endpoint: str = field(default="", compare=False)  # what it says to be, at whichever address


def netloc(host: str, port: int | None = None) -> str:
    """Host and port as they stand in an address."""
    bare = f"[{host}]" if ":" in host else host
    return bare if port is None else f"{bare}:{port}"


def discover(seconds: float, interfaces: Sequence[str] | None = None) -> list[FoundCamera]:
    """Who answers within so many seconds, by address, link-local ones last; of both kinds of one camera that of IPv4.

    `interfaces`: addresses of ours, of IPv6 with their zones; None: all. Raises CameraLost when none can send a probe.
    """
    number = str(uuid.uuid4())
    found: dict[str, FoundCamera] = {}
    with ExitStack() as stack:
        sockets = [stack.enter_context(one) for one in _sockets(_addresses() if interfaces is None else interfaces)]
        begin_s, sent = time.monotonic(), 0
        while (passed_s := time.monotonic() - begin_s) < seconds and len(found) < MAX_CAMERAS:
            if sent < 2 and passed_s >= sent * REPEAT_S:
                sent += 1
                _send(sockets, number)
            wait_s = min(seconds, REPEAT_S if sent < 2 else seconds) - passed_s
            for ready in select.select(sockets, (), (), max(0.0, wait_s))[0]:
                if (camera := _receive(ready, number)) is not None:
                    found.setdefault(camera.host, camera)
    told = {camera.endpoint for camera in found.values() if ":" not in camera.host} - {""}
    kept = [camera for camera in found.values() if ":" not in camera.host or camera.endpoint not in told]
    return sorted(kept, key=lambda camera: rank(camera.host))


def rank(host: str) -> tuple[bool, bool, int]:
    """The place of an address in the order of `discover`. Raises ValueError for what is none."""
    address = ip_address(host.partition("%")[0])
    return ":" in host, address.is_link_local, int(address)


def _addresses() -> list[str]:
    """Ours, without loopback: of IPv4 all, of IPv6 the one of each link, with its zone."""
    own = [(one.family, one.address) for group in psutil.net_if_addrs().values() for one in group]
    return [
        address
        for family, address in own
        if (family is socket.AF_INET and not address.startswith("127."))
        or (family is socket.AF_INET6 and address.startswith("fe80:"))
    ]


def _sockets(interfaces: Sequence[str]) -> list[socket.socket]:
    made = []
    for address in interfaces:
        one = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        try:
            _bind(one, address)
        except OSError:  # an address that has gone
            one.close()
        else:
            made.append(one)
    return made


def _bind(one: socket.socket, address: str) -> None:
    """To an address of ours, whose interface its probes leave by."""
    if one.family == socket.AF_INET:
        one.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(address))
        one.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, HOPS)
        one.bind((address, 0))
    else:
        bare, _, zone = address.partition("%")
        link = socket.if_nametoindex(zone)
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, link)
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, HOPS)
        one.bind((bare, 0, 0, link))


def _send(sockets: Sequence[socket.socket], number: str) -> None:
    faults = []
    for one in sockets:
        try:
            one.sendto(PROBE.format(id=number).encode(), GROUP if one.family == socket.AF_INET else GROUP_6)
        except OSError as error:
            faults.append(error)
    if len(faults) == len(sockets):
        reason = f": {faults[0].strerror}" if faults else ""
        raise CameraLost(f"no interface can send a probe{reason}; connect this machine to the cameras", "network")


def _receive(ready: socket.socket, number: str) -> FoundCamera | None:
    try:
        datagram, (host, _, *flow_and_link) = ready.recvfrom(MAX_DATAGRAM)
        zone = f"%{socket.if_indextoname(flow_and_link[1])}" if host.startswith("fe80:") else ""
        return answer_of(parse(datagram), number, f"{host}{zone}")
    except (OSError, ValueError):  # a port that is closed; a stranger's nonsense
        return None


def answer_of(envelope: Element, number: str, host: str) -> FoundCamera | None:
    """The camera that answers the probe of this number from `host`; None: it answers nothing of ours.

    Only an address at `host` itself is taken: who answers cannot have a password's digest sent to another machine.
    """
    relates = envelope.find(".//{*}RelatesTo")
    match = envelope.find(".//{*}ProbeMatch")
    if relates is None or match is None or number not in (relates.text or ""):
        return None
    addresses = (match.findtext("{*}XAddrs") or "").split()[:MAX_ADDRESSES]
    own = [at for at in (_at(address, host) for address in addresses) if at is not None]
    scopes = (match.findtext("{*}Scopes") or "").split()
    if not own:
        return None
    endpoint = (match.findtext("{*}EndpointReference/{*}Address") or "").strip()
    return FoundCamera(host, own[0], _scope(scopes, "name"), _scope(scopes, "hardware"), endpoint)


def _at(address: str, host: str) -> str | None:
    """The address, if it is one at `host`; of IPv6 with our zone, which no camera can know."""
    try:
        parts = urlsplit(address)
        there = ip_address((parts.hostname or "").partition("%")[0])
        port = parts.port
    except ValueError:  # one among others: cameras list their names, too
        return None
    whole = address.isascii() and address.isprintable() and "@" not in parts.netloc
    if not whole or parts.scheme not in ("http", "https") or port == 0:
        return None
    if there != ip_address(host.partition("%")[0]):
        return None
    return urlunsplit(parts._replace(netloc=netloc(host, port)))


def _scope(scopes: Sequence[str], name: str) -> str:
    """Like "Door" of onvif://www.onvif.org/name/Door; empty: there is none."""
    found = (re.fullmatch(rf"(?i)onvif://www\.onvif\.org/{name}/(.+)", scope) for scope in scopes)
    return next((printable(unquote(one[1]), 60) for one in found if one), "")
