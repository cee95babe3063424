"""What one ONVIF camera says of itself: serial number, and the addresses of its streams."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timezone
from urllib.parse import SplitResult, urlsplit, urlunsplit
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape

from edged.capture.onvif.discovery import netloc
from edged.capture.onvif.soap import Credentials, call, text_at
from edged.errors import CameraLost
from edged.foreign_text import printable

DEVICE = 'xmlns="http://www.onvif.org/ver10/device/wsdl"'
MEDIA = 'xmlns="http://www.onvif.org/ver10/media/wsdl"'
SCHEMA = 'xmlns="http://www.onvif.org/ver10/schema"'
MAX_PROFILES = 8
MAX_ADDRESS_CHARS = 1024
MAX_FACT_CHARS = 63  # with `…`, a longer serial number is what `onvif_serial` takes
YEARS = range(1970, 9999)  # of clocks that are believed: the last one leaves no time to add to


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
        """One per profile, in the camera's order, the first eight; and why others have none, as those without video."""
        media = self._media_service()
        answer = self._call(media, f"<GetProfiles {MEDIA}/>")
        told, faults = [], []
        for profile in answer.findall(".//{*}Profiles")[:MAX_PROFILES]:
            try:
                told.append(self._stream(media, profile))
            except CameraLost as fault:
                if fault.code not in ("error_reply", "no_stream"):
                    raise
                faults.append(fault)
        return told, faults

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

    def _stream(self, media: str, profile: Element) -> CameraStream:
        token = printable(profile.get("token", ""))
        setup = (
            f"<StreamSetup><Stream {SCHEMA}>RTP-Unicast</Stream><Transport {SCHEMA}><Protocol>RTSP</Protocol>"
            f"</Transport></StreamSetup><ProfileToken>{escape(token)}</ProfileToken>"
        )
        answer = self._call(media, f"<GetStreamUri {MEDIA}>{setup}</GetStreamUri>")
        encoder = "VideoEncoderConfiguration"
        width, height = (text_at(profile, f"{encoder}/Resolution/{side}", 8) for side in ("Width", "Height"))
        return CameraStream(
            name=text_at(profile, "Name", 60) or token,
            codec=text_at(profile, f"{encoder}/Encoding", 20),
            size=f"{width}x{height}" if width and height else "",
            url=_stream_url(text_at(answer, "MediaUri/Uri", MAX_ADDRESS_CHARS), _host(self._service)),
        )


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
