"""A network camera over RTSP and TCP: decoded by the Jetson's video engine through cv2's GStreamer, else by FFmpeg."""

from __future__ import annotations

import ssl
import time
from contextlib import suppress
from functools import partial
from typing import Any

import av
import cv2

from edged.capture.camera import CapturedImage, Stream, StreamFacts
from edged.capture.onvif.search import search_of
from edged.capture.sources.gstreamer import Codec, OutputFormat, rtsp_pipeline
from edged.capture.sources.opencv import LiveStream, configure_opencv, has_element, has_gstreamer
from edged.capture.sources.rtsp_describe import (
    TIMEOUT_S,
    Address,
    RtspReply,
    connect,
    describe,
    media,
    refusal,
)
from edged.capture.sources.rtsp_relay import RtspRelay
from edged.capture.sources.video_reader import Picture, VideoReader
from edged.config.certificates import camera_tls
from edged.config.tables.camera import CameraConfig
from edged.errors import CameraLost, ConfigError
from edged.frame import U8
from edged.runtime.rate_limit import RateLimiter
from edged.units import NS_PER_S, ns

KNOWN_CODECS = frozenset(["H264", "H265"])  # as RTP calls them
# Shares of `open_timeout_s`: FFmpeg may take the first; the second is for a DESCRIBE that finds the reason. At the
# third, also of `stall_s`, the stream gives up by itself, with a better reason than the worker has.
OPEN_SHARE, DESCRIBE_SHARE, PICTURE_SHARE = 0.7, 0.2, 0.9
REFUSAL_SHARE = 0.1  # of it, for how it refuses what it describes
MIN_OPEN_S = 0.2  # for a second try, with another login
RELAY_TRIES = 2  # a camera with one viewer may refuse the first, as it was just opened without
MAX_DAMAGED_S = 60.0  # then it is opened anew, which brings a key frame; the longest groups of pictures have 20 s
KEY_FRAME_CURE = "Shorten its I-frame interval (turn off H.264+ and the like)"
FFMPEG_OPTIONS = {
    "rtsp_transport": "tcp",
    "analyzeduration": "100000",  # µs; it opens in 0.2 s instead of 2 s
    "allowed_media_types": "video",  # no SETUP of audio and metadata, which some cameras refuse
}


class RtspCamera:
    """With `raw`, frames are NV12 where GStreamer decodes them; else BGR. Raises ConfigError for a wrong `format`."""

    def __init__(self, name: str, settings: CameraConfig, *, raw: bool = False) -> None:
        if settings.format not in ("auto", "h264", "h265"):
            text = f"cameras.{name}.format = {settings.format}: want auto, h264 or h265 for RTSP"
            raise ConfigError(text, "format")
        configure_opencv()
        self._name = name
        self._configured = self._address = Address.from_settings(settings)
        self._settings = settings
        self._codec: Codec = settings.format
        in_hardware = has_gstreamer() and has_element("nvv4l2decoder")  # else FFmpeg, which tells damage and fields
        self._uses_gstreamer = in_hardware and not self._address.encrypted
        self._pixel_format: OutputFormat = "nv12" if raw and self._uses_gstreamer else "bgr"
        self._open_s = settings.open_timeout_s
        self._begin_anew()
        self._search = search_of(settings, self._address.username, self._address.password)

    def open(self) -> Stream:
        """Raises CameraLost, also when the time went into a search for a camera that was lost before."""
        if self._search is None:
            return self._open()
        if (host := self._search.moved_from(self._address.host)) is not None:
            self._address = self._configured if host == self._configured.host else self._configured.at(host)
            self._begin_anew()
            raise CameraLost(f"{self._address.masked_url}: it is here now, and is opened next", "moved")
        try:
            return self._open()
        except CameraLost:
            self._search.lost()
            raise

    def _begin_anew(self) -> None:
        # FFmpeg follows a camera that refers to another machine, with the password, and unencrypted if that says so.
        guarded = self._address.encrypted or bool(self._address.username)
        self._relayed = guarded  # or it sends H.265, whose losses the relay marks
        self._trials = 0 if guarded else RELAY_TRIES  # left of the relay for H.265 alone, until one succeeds

    def _open(self) -> Stream:
        limiter = RateLimiter(round(NS_PER_S / self._settings.fps)) if self._settings.fps else None
        if self._uses_gstreamer:
            return self._open_gstreamer(limiter)
        deadline_ns = time.monotonic_ns() + ns(PICTURE_SHARE * self._open_s)
        container = self._open_ffmpeg()
        try:
            if not any(track.codec_context for track in container.streams.video):  # None: FFmpeg does not know it
                raise self._no_stream(self._describe(self._tls_context()))
            reader = self._reader(container)
        except CameraLost:
            container.close()
            raise
        return RtspStream(reader, self._address.masked_url, deadline_ns, self._settings, limiter)

    def _reader(self, container: Any) -> VideoReader:
        try:
            return VideoReader(container, live=True, transport=True)
        except CameraLost as lost:
            raise CameraLost(f"{self._address.masked_url}: {lost}", lost.code) from lost

    def _open_gstreamer(self, limiter: RateLimiter | None) -> Stream:
        describe(self._address)  # first: GStreamer prints pages to stderr when an open fails
        url = self._relay(None).url if self._relayed else self._address.url
        capture = cv2.VideoCapture()
        if not capture.open(self._pipeline(url), cv2.CAP_GSTREAMER):
            raise self._no_stream_after(self._describe(None), None)
        return LiveStream(capture, self._address.masked_url, self._pixel_format, limiter)

    def _open_ffmpeg(self) -> Any:
        end_s = time.monotonic() + OPEN_SHARE * self._open_s
        context = self._tls_context()
        with suppress(av.FFmpegError, OSError, ValueError):  # their text holds the path
            return self._marked_container(context, end_s)
        raise self._no_stream_after(self._describe(context), context)  # the first tells a wrong password

    def _marked_container(self, context: ssl.SSLContext | None, end_s: float) -> Any:
        """As `_container`; H.265 over the relay, but where that fails and FFmpeg alone does not."""
        if not self._relayed:
            container = self._container(context, end_s)
            if not (self._trials and _is_h265(container)):
                return container
            container.close()  # first: some cameras have one viewer at a time
            self._relayed = True
        try:
            container = self._container(context, end_s)
        except (av.FFmpegError, OSError, ValueError):
            if self._trials:
                self._trials -= 1
                self._relayed = self._trials > 0
            raise
        self._trials = 0
        return container

    def _container(self, context: ssl.SSLContext | None, end_s: float) -> Any:
        """An open PyAV container. Raises `av.FFmpegError`, OSError and ValueError."""
        open_s = max(MIN_OPEN_S, end_s - time.monotonic())
        timeout = (open_s, max(2 * self._settings.stall_s, self._open_s))  # of a read: ends an abandoned thread
        url = self._relay(context).url if self._relayed else self._address.url
        return av.open(url, options=FFMPEG_OPTIONS, timeout=timeout)

    def _relay(self, context: ssl.SSLContext | None) -> RtspRelay:
        address = self._address
        return RtspRelay(address.url, address.login, partial(connect, address, self._open_s, context), self._open_s)

    def _describe(self, context: ssl.SSLContext | None) -> RtspReply:
        return describe(self._address, min(TIMEOUT_S, DESCRIBE_SHARE * self._open_s), context)

    def _no_stream_after(self, reply: RtspReply, context: ssl.SSLContext | None) -> CameraLost:
        """Why there is no stream, after asking the camera for what it describes."""
        return self._no_stream(reply, refusal(self._address, REFUSAL_SHARE * self._open_s, context))

    def _no_stream(self, reply: RtspReply, refused: str = "") -> CameraLost:
        """Why there is no stream, by the camera's description of it, and by how it refuses it."""
        tracks = media(reply.body)
        offered = ", ".join(name for _, name in tracks) or "nothing"
        if not any(kind == "video" for kind, _ in tracks):
            text = f"the camera offers {offered}, no video; choose a stream with video by its path, or switch it on"
        else:
            known = any(name.upper() in KNOWN_CODECS for kind, name in tracks if kind == "video")
            cure = "" if known else "set it to H.264 or H.265, and "
            did = f"refuses {refused}" if refused else f"gave no frame; {cure}check its limit of viewers"
            text = f"the camera describes a stream ({offered}) and {did}"
        return CameraLost(f"{self._address.masked_url}: {text}", "no_video")

    def _tls_context(self) -> ssl.SSLContext | None:
        """None for a stream that is not encrypted. Raises CameraLost for a `ca` that cannot be read."""
        if not self._address.encrypted:
            return None
        try:
            context = camera_tls(self._name, self._settings)
        except ConfigError as error:
            raise CameraLost(str(error), "tls_ca") from error
        if not self._settings.tls_verify:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context

    def _pipeline(self, url: str) -> str:
        return rtsp_pipeline(url, self._codec, timeout_s=self._open_s, pixel_format=self._pixel_format)


class RtspStream:
    """A stream that FFmpeg reads; a frame's capture time is the arrival of its last packet."""

    def __init__(
        self,
        reader: VideoReader,
        display_name: str,
        deadline_ns: int,
        settings: CameraConfig,
        limiter: RateLimiter | None = None,
    ) -> None:
        self._reader = reader
        self._display_name = display_name
        self._deadline_ns = deadline_ns  # of the next picture, while packets come
        self._whole_ns: int | None = None  # arrival of the latest picture that was not damaged, at least of the first
        self._open_s = PICTURE_SHARE * settings.open_timeout_s
        self._frame_s = PICTURE_SHARE * settings.stall_s
        self._limiter = limiter

    def read(self, out: U8 | None) -> CapturedImage:
        picture = self._next_picture()
        while self._limiter is not None and not self._limiter.allow(picture.arrived_ns):
            picture = self._next_picture()
        try:
            image = self._reader.image(picture, out)
        except CameraLost as lost:
            raise CameraLost(f"{self._display_name}: {lost}", lost.code) from lost
        return CapturedImage(image=image, captured_ns=picture.arrived_ns, damaged=picture.damaged)

    def close(self) -> None:
        self._reader.close()

    @property
    def facts(self) -> StreamFacts:
        return self._reader.facts

    def _next_picture(self) -> Picture:
        while True:
            try:
                picture = self._reader.poll()
            except (EOFError, av.FFmpegError, OSError):
                raise self._broken_off() from None  # FFmpeg's error holds the password
            if picture is not None:
                self._deadline_ns = time.monotonic_ns() + ns(self._frame_s)
                self._check_damage(picture)
                return picture
            if time.monotonic_ns() > self._deadline_ns:
                raise self._no_picture()

    def _check_damage(self, picture: Picture) -> None:
        """Raises CameraLost in a stream that has no key frames by itself: after a loss it would stay damaged."""
        if not picture.damaged or self._whole_ns is None:
            self._whole_ns = picture.arrived_ns
        elif picture.arrived_ns - self._whole_ns > ns(MAX_DAMAGED_S):
            raise self._no_key_frame(MAX_DAMAGED_S)

    def _broken_off(self) -> CameraLost:
        if self._reader.pictures:
            return CameraLost(f"{self._display_name}: the stream broke off", "broken_off")
        text = "it opened and gave no frame; it does not send video, or has too many viewers"
        return CameraLost(f"{self._display_name}: {text}", "no_video")

    def _no_picture(self) -> CameraLost:
        codec = self._reader.facts.codec
        if self._reader.undecodable:
            text = f"it announces {codec}, and nothing of it can be decoded; set it to H.264 or H.265"
            return CameraLost(f"{self._display_name}: {text}", "no_video")
        if self._reader.pictures:
            return self._no_key_frame(self._frame_s)
        text = (
            f"it sends {codec}, but no key frame for {self._open_s:g} s: its group of pictures is too long. "
            f"{KEY_FRAME_CURE}, or raise open_timeout_s"
        )
        return CameraLost(f"{self._display_name}: {text}", "no_key_frame")

    def _no_key_frame(self, waited_s: float) -> CameraLost:
        codec = self._reader.facts.codec
        text = f"a part of its {codec} was lost, and no key frame came for {waited_s:g} s. {KEY_FRAME_CURE}"
        return CameraLost(f"{self._display_name}: {text}", "no_key_frame")


def _is_h265(container: Any) -> bool:
    return any(track.codec_context and track.codec_context.name == "hevc" for track in container.streams.video)
