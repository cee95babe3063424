"""What one ONVIF camera says of itself: serial number, and the addresses of its streams."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime, timezone
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit, urlunsplit
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape

from edged.capture.onvif.discovery import netloc
from edged.capture.onvif.soap import Credentials, call, text_at
from edged.errors import CameraLost
from edged.foreign_text import printable

DEVICE = 'xmlns="http://www.onvif.org/ver10/device/wsdl"'
SCHEMA = 'xmlns="http://www.onvif.org/ver10/schema"'
MAX_PROFILES = 8  # of a camera that are asked for their streams
MAX_ADDRESSES = 64  # of all interfaces of a camera
MAX_ADDRESS_CHARS = 1024  # of what a camera says its address is
MAX_FACT_CHARS = 63  # with `…`, a longer serial number is what `onvif_serial` takes
YEARS = range(1970, 9999)  # of clocks that are believed: the last one leaves no time to add to


class Media(NamedTuple):
    """One of the two media services of ONVIF: how it is asked, and where a profile has its encoder."""

    namespace: str
    wanted: str  # of each profile
    setup: str  # of a stream
    encoder: str

    @property
    def xmlns(self) -> str:
        return f'xmlns="{self.namespace}"'


MEDIA = Media(
    "http://www.onvif.org/ver10/media/wsdl",
    "",
    f"<StreamSetup><Stream {SCHEMA}>RTP-Unicast</Stream><Transport {SCHEMA}><Protocol>RTSP</Protocol></Transport>"
    "</StreamSetup>",
    "VideoEncoderConfiguration",
)
MEDIA_2 = Media(
    "http://www.onvif.org/ver20/media/wsdl",
    "<Type>VideoEncoder</Type>",
    "<Protocol>RTSP</Protocol>",
    "Configurations/VideoEncoder",
)


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """Texts of the camera's own, fit for a terminal; empty: not told."""

    manufacturer: str
    model: str
    serial: str


@dataclass(frozen=True, slots=True)
class CameraStream:
    """One profile of the camera, and where its stream is."""

    name: str
    codec: str
    size: str  # like "1920x1080"; empty: not told
    url: str  # rtsp:// or rtsps://, without a login


@dataclass(slots=True)
class _Found:
    """What both media services told so far."""

    streams: list[CameraStream] = field(default_factory=list)
    faults: list[CameraLost] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)


class OnvifDevice:
    """One camera. Every call raises CameraLost with the reason. One thread."""

    def __init__(self, service: str, credentials: Credentials | None, limit_s: float) -> None:
        """`service`: address of its device service; `limit_s`: from now on, for all requests together."""
        self._service = service
        self._credentials = credentials
        self._limit_s, self._end_s = limit_s, time.monotonic() + limit_s
        self._offset_s: float | None = None

    def facts(self) -> DeviceFacts:
        answer = self._call(self._service, f"<GetDeviceInformation {DEVICE}/>")
        return DeviceFacts(
            text_at(answer, "Manufacturer", MAX_FACT_CHARS),
            text_at(answer, "Model", MAX_FACT_CHARS),
            text_at(answer, "SerialNumber", MAX_FACT_CHARS),
        )

    def streams(self) -> tuple[list[CameraStream], list[CameraLost]]:
        """One per profile, in the camera's order, the first eight; and why others have none, as those without video.

        Media2 is asked first, where there is one: the older service cannot name H.265, and leaves such streams out or
        calls them H.264. Profiles are the same in both, by their tokens.
        """
        found = _Found()
        try:
            if newer := self._media_2_service():
                self._add(found, MEDIA_2, newer)
        except CameraLost as fault:
            if fault.code == "timeout":
                raise
            found.faults.append(CameraLost(f"those of Media2: {fault}", fault.code))
        try:
            self._add(found, MEDIA, self._media_service())
        except CameraLost as fault:
            if fault.code != "no_onvif" or not found.streams:  # the older one may be missing by now
                raise
        return found.streams, found.faults

    def addresses(self) -> frozenset[str]:
        """Every address that the camera says its interfaces have, without zones."""
        answer = self._call(self._service, f"<GetNetworkInterfaces {DEVICE}/>")
        told = (_address(element.text or "") for element in answer.findall(".//{*}Address")[:MAX_ADDRESSES])
        return frozenset(address for address in told if address)

    @property
    def clock_offset_s(self) -> float:
        """How far the camera's clock is ahead of ours, s; asked once, without a login. 0: it does not tell."""
        if self._offset_s is None:
            try:
                self._offset_s = _offset_s(self._request(self._service, f"<GetSystemDateAndTime {DEVICE}/>"))
            except CameraLost as lost:
                if lost.code not in ("password_wrong", "error_reply"):  # some want a login for the time too
                    raise
                self._offset_s = 0.0
        return self._offset_s

    def _call(self, url: str, body: str) -> Element:
        if self._credentials is None:
            return self._request(url, body)
        return self._request(url, body, self._credentials, self.clock_offset_s)

    def _request(self, url: str, body: str, credentials: Credentials | None = None, offset_s: float = 0.0) -> Element:
        if (left_s := self._end_s - time.monotonic()) <= 0:
            raise CameraLost(f"{_host(url)}: it took more than {self._limit_s:.3g} s to answer", "timeout")
        return call(url, body, left_s, credentials, offset_s)

    def _media_service(self) -> str:
        """At the host that we know, whatever host it names: cameras behind a translation name their inner one."""
        body = f"<GetCapabilities {DEVICE}><Category>Media</Category></GetCapabilities>"
        path = _split(text_at(self._call(self._service, body), "Media/XAddr", MAX_ADDRESS_CHARS)).path
        if not path:
            raise CameraLost(f"{_host(self._service)}: it has no media service of ONVIF", "no_onvif")
        return urlunsplit(urlsplit(self._service)._replace(path=path))

    def _media_2_service(self) -> str:
        """Of Media2, as `_media_service`; empty: the camera has none. Only this request names it."""
        body = f"<GetServices {DEVICE}><IncludeCapability>false</IncludeCapability></GetServices>"
        try:
            answer = self._call(self._service, body)
        except CameraLost as fault:
            if fault.code == "timeout":
                raise
            return ""
        for service in answer.findall(".//{*}Service"):
            if text_at(service, "Namespace") == MEDIA_2.namespace:
                path = _split(text_at(service, "XAddr", MAX_ADDRESS_CHARS)).path
                return urlunsplit(urlsplit(self._service)._replace(path=path)) if path else ""
        return ""

    def _add(self, found: _Found, kind: Media, media: str) -> None:
        """Ask this service for the profiles that are not found yet. Raises CameraLost."""
        answer = self._call(media, f"<GetProfiles {kind.xmlns}>{kind.wanted}</GetProfiles>")
        for profile in answer.findall(".//{*}Profiles"):
            token = printable(profile.get("token", ""))
            if token in found.tokens or len(found.tokens) == MAX_PROFILES:
                continue
            found.tokens.add(token)
            try:
                found.streams.append(self._stream(kind, media, token, profile))
            except CameraLost as fault:
                if fault.code not in ("error_reply", "no_stream"):
                    raise
                found.faults.append(fault)

    def _stream(self, kind: Media, media: str, token: str, profile: Element) -> CameraStream:
        wanted = f"{kind.setup}<ProfileToken>{escape(token)}</ProfileToken>"
        answer = self._call(media, f"<GetStreamUri {kind.xmlns}>{wanted}</GetStreamUri>")
        width, height = (text_at(profile, f"{kind.encoder}/Resolution/{side}", 8) for side in ("Width", "Height"))
        return CameraStream(
            name=text_at(profile, "Name", 60) or token,
            codec=text_at(profile, f"{kind.encoder}/Encoding", 20),
            size=f"{width}x{height}" if width and height else "",
            url=_stream_url(text_at(answer, "Uri", MAX_ADDRESS_CHARS), _host(self._service)),
        )


def _address(text: str) -> str:
    """The IP address in its usual form, without a zone; empty: it is none."""
    try:
        return str(ip_address(text.strip().partition("%")[0]))
    except ValueError:
        return ""


def _host(url: str) -> str:
    return str(urlsplit(url).hostname)


def _split(told: str) -> SplitResult:
    """The parts of an address that a camera tells; all are empty if it is none."""
    try:
        parts = urlsplit(told)
        _ = parts.port  # read, as it may be no number
    except ValueError:
        return urlsplit("")
    return parts


def _stream_url(told: str, host: str) -> str:
    """The address without a login, at the host that we know. Raises CameraLost for one of another kind."""
    parts = _split(told)
    if (
        parts.scheme not in ("rtsp", "rtsps")
        or parts.port == 0
        or not told.isascii()
        or any(char in told for char in " '\"\\<>…")
    ):
        raise CameraLost(f"{host}: the address of its stream is none: {printable(told, 60)}", "no_stream")
    return urlunsplit(parts._replace(netloc=netloc(host, parts.port), fragment=""))


def _offset_s(answer: Element) -> float:
    """How far the clock in this answer is ahead of ours, s; 0: it tells no time that can be."""
    utc = answer.find(".//{*}UTCDateTime")
    if utc is None:
        return 0.0
    names = ("Date/Year", "Date/Month", "Date/Day", "Time/Hour", "Time/Minute", "Time/Second")
    try:
        year, month, day, hour, minute, second = (int(text_at(utc, name, 8)) for name in names)
        there = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=timezone.utc)
    except ValueError:
        return 0.0
    if there.year not in YEARS:
        return 0.0
    return (there - datetime.now(timezone.utc)).total_seconds()
