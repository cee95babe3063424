"""A camera that speaks ONVIF: WS-Discovery on multicast, device and media service over HTTP, with a login and a clock.

`python -m tests.support.onvif_camera SERIAL ADDRESS…` runs one until it is killed.
"""

from __future__ import annotations

import base64
import hashlib
import re
import socket
import struct
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from edged.capture.onvif.discovery import netloc

USER, PASSWORD = "admin", "p&<ss>"
GROUPS = {socket.AF_INET: "239.255.255.250", socket.AF_INET6: "ff02::c"}
PORT = 3702
SOAP = (
    '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:t="http://www.onvif.org/ver10/schema"'
    ' xmlns:d="http://www.onvif.org/ver10/device/wsdl" xmlns:m="http://www.onvif.org/ver10/media/wsdl">'
    "<s:Body>{}</s:Body></s:Envelope>"
)
REFUSED = (
    "<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>ter:NotAuthorized</s:Value></s:Subcode></s:Code>"
    "<s:Reason><s:Text>no</s:Text></s:Reason></s:Fault>"
)
MATCH = (
    '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"'
    ' xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing"'
    ' xmlns:w="http://schemas.xmlsoap.org/ws/2005/04/discovery"><s:Header><a:RelatesTo>{number}</a:RelatesTo></s:Header>'
    "<s:Body><w:ProbeMatches><w:ProbeMatch><a:EndpointReference><a:Address>{endpoint}</a:Address></a:EndpointReference>"
    "<w:Scopes>onvif://www.onvif.org/name/{name} "
    "onvif://www.onvif.org/hardware/T1</w:Scopes><w:XAddrs>{addresses}</w:XAddrs></w:ProbeMatch></w:ProbeMatches>"
    "</s:Body></s:Envelope>"
)


@dataclass
class OnvifCamera:
    """What a test wants of it; `logins` has how each accepted request was let in."""

    host: str = "127.0.0.1"  # of IPv6 with its zone
    endpoint: str = "urn:uuid:1"
    serial: str = "SN-1"
    login: str = "digest"  # "digest", "plain", "http", "basic"
    basic: str = 'Basic realm="r"'  # the challenge, as it stands in the answer's header
    clock_ahead_s: float = 0.0
    time_needs_login: bool = False
    profiles: tuple[tuple[str, str, int, int], ...] = (("main", "H264", 1920, 1080), ("sub", "JPEG", 640, 360))
    profiles_2: tuple[tuple[str, str, int, int], ...] = ()  # of Media2, which it then has
    addresses: tuple[str, ...] = ()  # that it says its interfaces have
    stream: str = "rtsp://user:pw@10.9.9.9:554/{}"
    answers: dict[str, bytes] = field(default_factory=dict)  # by request: sent instead
    answer_2: bytes = b""  # by Media2: sent instead
    logins: list[str] = field(default_factory=list)
    port: int = 0

    @property
    def service(self) -> str:
        return f"http://{netloc(self.host, self.port)}/onvif/device_service"

    @property
    def family(self) -> socket.AddressFamily:
        return socket.AF_INET6 if ":" in self.host else socket.AF_INET

    @property
    def link(self) -> int:
        """Number of the interface of its zone; 0: it has none."""
        zone = self.host.partition("%")[2]
        return socket.if_nametoindex(zone) if zone else 0

    def at(self, port: int, host: str = "") -> tuple[Any, ...]:
        """What a socket binds to or sends to: its address, or that of a group."""
        bare = host or self.host.partition("%")[0]
        return (bare, port) if self.family is socket.AF_INET else (bare, port, 0, self.link)

    def body(self, name: str, request: str) -> str:
        if name == "GetSystemDateAndTime":
            return clock_of(self._now())
        if name == "GetDeviceInformation":
            facts = {"Manufacturer": "Acme", "Model": "T1", "SerialNumber": self.serial}
            return f"<d:R>{''.join(f'<d:{key}>{value}</d:{key}>' for key, value in facts.items())}</d:R>"
        if name == "GetCapabilities":
            address = "<t:XAddr>http://10.9.9.9/onvif/media</t:XAddr>"
            return f"<d:R><d:Capabilities><t:Media>{address}</t:Media></d:Capabilities></d:R>"
        if name == "GetNetworkInterfaces":
            told = "".join(f"<t:Manual><t:Address>{address}</t:Address></t:Manual>" for address in self.addresses)
            return f"<d:R><d:NetworkInterfaces><t:IPv4><t:Config>{told}</t:Config></t:IPv4></d:NetworkInterfaces></d:R>"
        return (
            self._media_2(name, request) if "ver20" in request or name == "GetServices" else self._media(name, request)
        )

    def _media(self, name: str, request: str) -> str:
        if name == "GetProfiles":
            return f"<m:R>{''.join(_profile(*one) for one in self.profiles)}</m:R>"
        return f"<m:R><m:MediaUri><t:Uri>{self._stream(request)}</t:Uri></m:MediaUri></m:R>"

    def _media_2(self, name: str, request: str) -> str:
        if name == "GetServices":
            return f"<d:R>{_service('10')}{_service('20') if self.profiles_2 else ''}</d:R>"
        if name == "GetProfiles":
            return f"<m:R>{''.join(_profile_2(*one) for one in self.profiles_2)}</m:R>"
        return f"<m:R><m:Uri>{self._stream(request)}</m:Uri></m:R>"

    def _stream(self, request: str) -> str:
        token = re.search("ProfileToken>([^<]*)<", request)
        assert token is not None
        return self.stream.format(token[1])

    def lets_in(self, request: str, authorization: str) -> bool:
        if authorization:
            self.logins.append(authorization.partition(" ")[0])
        if self.login in ("http", "basic"):
            return _is_http_digest(authorization)
        kind = re.search(r"#Password(\w+)\">([^<]*)<", request)
        if kind is None:
            return False
        self.logins.append(kind[1].lower())
        if self.login == "plain":
            return kind[1] == "Text" and kind[2] == "p&amp;&lt;ss&gt;"
        nonce, created = (re.search(f"<(?:w|u):{name}[^>]*>([^<]*)<", request) for name in ("Nonce", "Created"))
        if nonce is None or created is None or kind[1] != "Digest":
            return False
        age = self._now() - datetime.fromisoformat(created[1].replace("Z", "+00:00"))
        text = base64.b64decode(nonce[1]) + created[1].encode() + PASSWORD.encode()
        good = base64.b64encode(hashlib.sha1(text, usedforsecurity=False).digest()).decode() == kind[2]
        return good and abs(age.total_seconds()) < 5

    def _now(self) -> datetime:
        return datetime.now(timezone.utc) + timedelta(seconds=self.clock_ahead_s)


def clock_of(now: datetime) -> str:
    time, date = (
        "".join(f"<t:{name}>{getattr(now, name.lower())}</t:{name}>" for name in names)
        for names in (("Hour", "Minute", "Second"), ("Year", "Month", "Day"))
    )
    whole = f"<t:UTCDateTime><t:Time>{time}</t:Time><t:Date>{date}</t:Date></t:UTCDateTime>"
    return f"<d:R><d:SystemDateAndTime>{whole}</d:SystemDateAndTime></d:R>"


def _service(version: str) -> str:
    namespace = f"<d:Namespace>http://www.onvif.org/ver{version}/media/wsdl</d:Namespace>"
    return f"<d:Service>{namespace}<d:XAddr>http://10.9.9.9/onvif/media{version}</d:XAddr></d:Service>"


def _profile(name: str, codec: str, width: int, height: int) -> str:
    size = f"<t:Resolution><t:Width>{width}</t:Width><t:Height>{height}</t:Height></t:Resolution>"
    encoder = f"<t:VideoEncoderConfiguration><t:Encoding>{codec}</t:Encoding>{size}</t:VideoEncoderConfiguration>"
    return f'<m:Profiles token="{name}"><t:Name>{name} stream</t:Name>{encoder}</m:Profiles>'


def _profile_2(name: str, codec: str, width: int, height: int) -> str:
    size = f"<t:Resolution><t:Width>{width}</t:Width><t:Height>{height}</t:Height></t:Resolution>"
    encoder = f"<m:VideoEncoder><t:Encoding>{codec}</t:Encoding>{size}</m:VideoEncoder>"
    configurations = f"<m:Configurations>{encoder}</m:Configurations>"
    return f'<m:Profiles token="{name}"><m:Name>{name} stream</m:Name>{configurations}</m:Profiles>'


def _is_http_digest(authorization: str) -> bool:
    given = dict(re.findall(r'(\w+)="?([^",]*)"?', authorization))

    def hashed(*parts: str) -> str:
        return hashlib.md5(":".join(parts).encode(), usedforsecurity=False).hexdigest()

    user, request = hashed(USER, "r", PASSWORD), hashed("POST", given.get("uri", ""))
    return given.get("response") == hashed(user, "n", given.get("nc", ""), given.get("cnonce", ""), "auth", request)


@contextmanager
def serving(camera: OnvifCamera) -> Iterator[OnvifCamera]:
    """Its HTTP services, on any free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = self.rfile.read(int(self.headers["content-length"])).decode()
            found = re.search(r"<s:Body><(\w+)", request)
            name = found[1] if found else ""
            free = name == "GetSystemDateAndTime" and not camera.time_needs_login
            named = "%" not in self.headers["host"]  # the zone of our address is nothing to a camera
            let_in = named and (free or camera.lets_in(request, self.headers.get("authorization", "")))
            answer = camera.answers.get(name) or (camera.answer_2 if self.path.endswith("20") else b"")
            if let_in and answer:
                with suppress(OSError):
                    self.wfile.write(answer)
            elif let_in:
                self._answer(200, SOAP.format(camera.body(name, request)))
            else:
                self._answer(401 if camera.login in ("http", "basic") else 400, SOAP.format(REFUSED))

        def _answer(self, status: int, text: str) -> None:
            self.send_response(status)
            if status == 401 and camera.login == "http":
                self.send_header("WWW-Authenticate", 'Digest realm="r", nonce="n", qop="auth"')
            if status == 401:
                self.send_header("WWW-Authenticate", camera.basic)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: Any) -> None: ...

    class Server(ThreadingHTTPServer):
        address_family = camera.family

    with Server(camera.at(camera.port), Handler) as server:
        camera.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield camera
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def discoverable(camera: OnvifCamera, *answers: bytes) -> Iterator[None]:
    """It answers probes at its address, after these datagrams of a stranger."""
    group = GROUPS[camera.family]
    with socket.socket(camera.family, socket.SOCK_DGRAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(camera.at(PORT, group))
        if camera.family is socket.AF_INET:
            member = struct.pack("4s4s", socket.inet_aton(group), socket.inet_aton(camera.host))
            listener.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
        else:
            member = socket.inet_pton(socket.AF_INET6, group) + struct.pack("@I", camera.link)
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, member)
        stop = threading.Event()

        def answer() -> None:
            with socket.socket(camera.family, socket.SOCK_DGRAM) as speaker:
                speaker.bind(camera.at(0))
                while True:
                    probe, sender = listener.recvfrom(65535)
                    if stop.is_set():
                        return
                    number = re.search(rb"MessageID>([^<]*)<", probe)
                    own = re.sub("%[^]]*", "", camera.service)  # a camera does not know our zone
                    match = MATCH.format(
                        number=number[1].decode() if number else "",
                        name="Door%20A",
                        addresses=f"http://10.9.9.9/onvif/device_service {own}",
                        endpoint=camera.endpoint,
                    )
                    for datagram in (*answers, match.encode()):
                        speaker.sendto(datagram, sender)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            with socket.socket(camera.family, socket.SOCK_DGRAM) as waker:
                if camera.family is socket.AF_INET:
                    waker.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(camera.host))
                waker.sendto(b"", camera.at(PORT, group))
            thread.join()


def main(serial: str, *hosts: str) -> None:
    """One camera at several addresses of its own."""
    with ExitStack() as stack:
        for host in hosts:
            camera = OnvifCamera(host=host, serial=serial, port=80, stream="rtsp://" + netloc(host) + "/{}")
            stack.enter_context(serving(camera))
            stack.enter_context(discoverable(camera))
        print("ready", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
