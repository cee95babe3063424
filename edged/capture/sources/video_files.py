"""A recorded video as a camera: its own times, positions, and shape of every picture."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import av

from edged.capture.camera import CapturedImage, StreamFacts
from edged.capture.sources.recording_times import RecordingTimes
from edged.capture.sources.video_reader import JOINED_CODECS, Picture, VideoReader, video_tracks
from edged.config.tables.camera import CameraConfig
from edged.errors import CameraLost, EndOfSource
from edged.frame import U8
from edged.units import MS_PER_S, NS_PER_S, NS_PER_US, plural

log = logging.getLogger(__name__)

SEEKABLE_SUFFIXES = frozenset([".avi", ".m4v", ".mkv", ".mov", ".mp4", ".webm"])  # FFmpeg can rewind these
TRANSPORT_FORMATS = frozenset(["mpegts", "mpeg", "rtsp"])  # recorded as they came over a network
# FFmpeg finds no presentation times in these where pictures are reordered. Sources:
# findings/h264-in-avi-is-a-frame-late.sh, findings/b-frames-in-asf-and-mxf.sh
PACKET_TIMES = frozenset(["asf", "avi", "mxf"])
FROM_ZERO = frozenset(["asf", "avi", "matroska,webm", "nut"])  # headers say when they end, others how long they are
MAX_TRANSPORT_GAP_NS = 10 * NS_PER_S  # a longer gap in one is a new beginning. Source: FFmpeg's dts_delta_threshold
DEFAULT_VIDEO_HZ = 25.0  # of a video without a rate
MAX_VIDEO_HZ = 1000.0  # a higher rate in a file's header is wrong
FFMPEG_OPTIONS = {"protocol_whitelist": "file"}  # a playlist opens nothing on the network
MAX_LATE_NS = NS_PER_S  # a frame later than this shifts the timeline; there is no catching up
COMPLETE_SHARE = 0.95  # of the announced duration, or of the bytes; less, and the file is reported as cut off
GIF_END, TAIL_BYTES = b";", 64  # what ends a GIF; so much of a file's end is searched for it
FIRST_YEAR = 1990  # of video files; an earlier one is a clock that was never set


class PlaybackClock:
    """When recorded frames are due; immediately, unless in real time."""

    def __init__(self, *, realtime: bool) -> None:
        self._realtime = realtime
        self._origin_ns: int | None = None

    def due_ns(self, recorded_ns: int) -> int:
        """When the frame of this time in the recording is due, CLOCK_MONOTONIC."""
        now_ns = time.monotonic_ns()
        if not self._realtime:
            return now_ns
        if self._origin_ns is None or now_ns - (self._origin_ns + recorded_ns) > MAX_LATE_NS:
            self._origin_ns = now_ns - recorded_ns
        return self._origin_ns + recorded_ns


class VideoStream:
    def __init__(self, name: str, path: Path, settings: CameraConfig) -> None:
        self._name = name
        self._path = path
        self._settings = settings
        self._clock = PlaybackClock(realtime=settings.realtime)
        self._frames_read = 0  # over all rounds
        self._earlier_ns = 0  # the rounds before this one
        self._rewound = False  # this round began by rewinding, not by opening the file again
        self._position = self._decoded = 0  # pictures of this round
        self._end_stamp_ns = 0  # of its last picture, by the file's own times
        self._open()

    def read(self, out: U8 | None) -> CapturedImage:
        picture = self._next_picture()
        image = self._reader.image(picture, out)
        self._decoded += image.size > 0
        self._end_stamp_ns = max(self._end_stamp_ns, picture.stamp_ns or 0)
        # One that failed comes when its error does, not in its turn.
        source_ns = self._times.now_ns if picture.frame is None else self._times.next_ns(self._stamp_ns(picture))
        played_ns = self._earlier_ns + source_ns
        position, self._position = self._position, self._position + 1
        number, self._frames_read = self._frames_read, self._frames_read + 1
        realtime = self._settings.realtime
        return CapturedImage(
            image=image,
            captured_ns=self._clock.due_ns(self._due_ns(number, played_ns)),
            source=str(self._path),
            position=position,
            recorded_ns=None if realtime else played_ns,
            source_ns=source_ns,
            recorded_utc_ms=None if realtime or self._begun_utc_ms is None else self._begun_utc_ms + source_ns // 10**6,
            damaged=picture.damaged,
        )

    def close(self) -> None:
        self._reader.close()

    @property
    def facts(self) -> StreamFacts:
        return self._reader.facts

    def _stamp_ns(self, picture: Picture) -> int | None:
        """Its own time; None where H.264 or H.265 has B-frames and FFmpeg gives those the places of their packets."""
        codec = self._reader.codec
        reordered = codec.has_b_frames and codec.name in JOINED_CODECS
        return None if reordered and self._reader.container.format.name in PACKET_TIMES else picture.stamp_ns

    def _due_ns(self, number: int, played_ns: int) -> int:
        """When it is due from the beginning: at the configured rate, or at its own time."""
        return round(number * NS_PER_S / self._settings.fps) if self._settings.fps else played_ns

    def _open(self) -> None:
        container = open_container(self._path)
        try:
            self._reader = VideoReader(container, live=False, transport=container.format.name in TRANSPORT_FORMATS)
        except CameraLost as lost:
            container.close()
            raise CameraLost(f"{self._path}: {lost}", lost.code) from lost
        self._step_ns = round(NS_PER_S / _rate_hz(self._reader.track))
        self._announced_ns = _announced_ns(container, self._reader.track)
        if len(tracks := video_tracks(container)) > 1 and not self._frames_read:
            text = "camera %s: %s has %d video tracks, and the one of %dx%d is played; give each as a file of its own"
            log.warning(text, self._name, self._path, len(tracks), self._reader.codec.width, self._reader.codec.height)
        self._begun_utc_ms = begun_utc_ms(container.metadata)
        self._begin()

    def _begin(self) -> None:
        transport = self._reader.container.format.name in TRANSPORT_FORMATS
        self._times = RecordingTimes(self._step_ns, MAX_TRANSPORT_GAP_NS if transport else None)
        self._position = self._decoded = self._end_stamp_ns = 0

    def _next_picture(self) -> Picture:
        while True:
            try:
                picture = self._reader.poll()
            except (EOFError, av.FFmpegError) as end:
                self._reader.failed |= not isinstance(end, EOFError)
                self._restart_or_end()
                continue
            if picture is not None:
                return picture

    def _restart_or_end(self) -> None:
        """Begin the next round at the end of the file. Raises EndOfSource when there is none.

        Rewinds where it can: a decoder opened again and again for months fragments the heap.
        """
        if self._decoded == 0 and not self._rewound:
            text = "nothing in this file can be decoded; is it an image or a video, and whole?"
            raise CameraLost(f"{self._path}: {text}", "undecodable")
        if not self._settings.loop:
            if unstarted := self._reader.unstarted:
                text = (
                    "camera %s: %s: nothing of the %s before the first picture can be decoded: another codec, or cut?"
                )
                log.warning(text, self._name, self._path, plural(unstarted, "packet"))
            if self._ended_early:
                log.warning("camera %s: %s ends early; it may be cut off", self._name, self._path)
            raise EndOfSource(f"{self._position} frames read")
        self._earlier_ns += self._times.end_ns
        rewindable = self._decoded > 0 and self._path.suffix.lower() in SEEKABLE_SUFFIXES
        self._rewound = rewindable and self._reader.rewind()
        if self._rewound:
            self._begin()
        else:
            self.close()
            self._open()

    @property
    def _ended_early(self) -> bool:
        reader = self._reader
        if reader.failed:
            return True
        if reader.container.format.name == "gif":  # it has no length, only an end
            return not _tail(self._path).rstrip(b"\0").endswith(GIF_END)
        if self._announced_ns is not None:
            seen_ns = self._times.end_ns  # from its first picture on
            if reader.container.format.name in FROM_ZERO:  # an AVI may begin with pictures that are left out
                begun_ns = _begun_ns(reader.container, reader.track)
                seen_ns = max(seen_ns, self._end_stamp_ns + self._step_ns - begun_ns)
            delay_ns: int = (1 + reader.codec.has_b_frames) * self._step_ns  # some count that of the decoder, too
            return seen_ns < COMPLETE_SHARE * self._announced_ns - delay_ns
        alone = len(reader.container.streams) == 1
        return alone and 0 < reader.end_byte < COMPLETE_SHARE * reader.container.size


def open_container(path: Path) -> Any:
    """An open PyAV container. Raises CameraLost for a file that is no video."""
    try:
        container: Any = av.open(f"file:{path}", options=FFMPEG_OPTIONS, metadata_errors="replace")
    except (av.FFmpegError, OSError, ValueError) as error:
        raise CameraLost(f"{path}: truncated, or neither a video nor an image", "undecodable") from error
    if container.format.name == "tty":  # any text, as a video of a terminal
        container.close()
        raise CameraLost(f"{path}: a text, neither a video nor an image", "undecodable")
    return container


def _tail(path: Path) -> bytes:
    """The end of the file; what ends a GIF where the file has gone."""
    with suppress(OSError), path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL_BYTES))
        return file.read()
    return GIF_END


def begun_utc_ms(metadata: dict[str, str]) -> int | None:
    """When a recording began, by its camera's clock, UTC in ms since 1970; None when it does not say."""
    try:
        begun = datetime.fromisoformat(metadata.get("creation_time", "").replace("Z", "+00:00"))
    except ValueError:
        return None
    if begun.year < FIRST_YEAR or begun.tzinfo is None:
        return None
    return round(begun.timestamp() * MS_PER_S)


def _rate_hz(track: Any) -> float:
    rate_hz = float(track.guessed_rate or track.average_rate or 0)
    return rate_hz if 0 < rate_hz <= MAX_VIDEO_HZ else DEFAULT_VIDEO_HZ


def _announced_ns(container: Any, track: Any) -> int | None:
    """How long the header says that the track's pictures last; None when it does not say."""
    whole_ns = None if container.duration is None else int(container.duration) * NS_PER_US
    # Matroska has one duration for all tracks, which FFmpeg may give to each.
    if track.duration is None or not track.time_base or container.format.name == "matroska,webm":
        announced_ns = whole_ns if len(container.streams) == 1 else None
    else:
        own_ns = round(float(track.duration * track.time_base) * NS_PER_S)
        announced_ns = own_ns if whole_ns is None else min(own_ns, whole_ns)
    return None if announced_ns is None else announced_ns - _begun_ns(container, track)


def _begun_ns(container: Any, track: Any) -> int:
    """When the track begins, where the announced end counts from 0; else 0."""
    if container.format.name not in FROM_ZERO or not track.start_time or not track.time_base:
        return 0
    return round(float(track.start_time * track.time_base) * NS_PER_S)
