"""The pictures of a video track, in the order they are shown, with their times and whether they are damaged.

Upstream: an open PyAV container, of a file or of a network camera. Downstream: video_files.py and rtsp.py.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NamedTuple

import av
from av.stream import Disposition

from edged.capture.camera import EMPTY_IMAGE, MAX_LIVE_PIXELS, StreamFacts
from edged.capture.sources.damage import DamageTracker, time_ns
from edged.capture.sources.deinterlacer import Deinterlacer
from edged.capture.sources.frame_converter import (
    MAX_PIXELS,
    UPRIGHT,
    FrameConverter,
    Orientation,
    check_size,
    is_anamorphic,
    orientation_of,
)
from edged.errors import CameraLost
from edged.frame import U8
from edged.runtime.cpus import allowed_cpus
from edged.units import NS_PER_S

STRICT_CODECS = frozenset(["mjpeg", "hevc"])  # FFmpeg tells of their errors only where it may not conceal them
# Over RTSP, FFmpeg's parser gives a picture only when the next one begins: findings/rtsp-picture-waits-for-the-next.sh
JOINED_CODECS = frozenset(["h264", "hevc"])
CODEC_NAMES = {"h264": "H.264", "hevc": "H.265", "mjpeg": "Motion JPEG", "mpeg4": "MPEG-4"}
FEW_PACKETS = 10  # so many are read before a stream is judged
MAX_WAITING = 64  # packets whose picture has not come yet; the longest reordering is 16 pictures
STRICT_TRIES = 2  # key frames in a row with errors: this camera's have some by nature, and count as good


class Picture(NamedTuple):
    """A decoded picture, not yet converted."""

    frame: Any  # av.VideoFrame; None: it could not be decoded
    stamp_ns: int | None  # presentation time in the stream
    arrived_ns: int  # CLOCK_MONOTONIC: of a live one, when it began to arrive; else when its last packet was read
    damaged: bool
    orientation: Orientation = UPRIGHT


class VideoReader:
    """Of one open container. `live`: one decoding thread, because each further one delays the stream by a frame.

    Thread: the one that opened it.
    """

    def __init__(self, container: Any, *, live: bool, transport: bool) -> None:
        """`transport`: it came over a network, live or recorded. Raises CameraLost without a video track."""
        self.container = container
        self.track = _video_track(container)
        self.codec = self.track.codec_context
        self._max_pixels = MAX_LIVE_PIXELS if live else MAX_PIXELS
        if self.codec.width and self.codec.height:
            check_size((self.codec.width, self.codec.height), self._max_pixels)  # before memory is spent on it
        self.packets = self.key_packets = self.pictures = 0
        self.errors = 0  # of the decoder
        self.end_byte = 0  # of the latest packet in the file; 0: unknown
        self.unstarted = 0  # packets before the first picture that are errors
        self.failed = False  # a part of the stream could not be read or decoded
        self._orientation = UPRIGHT  # of the pictures that come now; findings/upside-down-by-the-bitstream.sh
        self._rotation: int | None = None  # PyAV's number for it; None: before the first picture
        self._live, self._transport = live, transport
        self._joined = live and self.codec.name in JOINED_CODECS
        tick: Fraction | None = self.track.time_base
        self._tick = None if tick is None else (tick.numerator * NS_PER_S, tick.denominator)  # ns: packets' and frames'
        self._arrivals_ns: dict[int, int] = {}  # by presentation time: pictures come out later than others' packets
        self._last_arrival_ns = 0  # of the picture before
        self._begun_ns: int | None = None  # when the picture of the next packet began to arrive; None: not known
        self._key_ns: int | None = None  # of the latest key packet
        self._key_interval_s: float | None = None
        self._aspect_at_open = self.codec.sample_aspect_ratio
        self._strict, self._strict_tries = self.codec.name in STRICT_CODECS, STRICT_TRIES
        self._set_up(self.codec, strict=self._strict)
        self._deinterlacer = Deinterlacer()
        self._converter = FrameConverter(self._max_pixels)
        self._begin()

    def poll(self) -> Picture | None:
        """The next picture, or None when another packet was read that completes none. Raises EOFError at the end."""
        if not self._ready:
            packet = next(self._demuxed, None)
            if packet is None:
                raise EOFError
            self._decode(packet)
        return self._ready.popleft() if self._ready else None

    def image(self, picture: Picture, out: U8 | None) -> U8:
        """(H, W, 3) uint8 BGR of the picture, square and upright, in `out` where it fits; size 0: not decodable."""
        if picture.frame is None:
            return EMPTY_IMAGE
        return self._converter.convert(picture.frame, self.pixel_aspect, picture.orientation, out)

    @property
    def pixel_aspect(self) -> Fraction | None:
        """Width : height of a pixel: the container's, until the codec declares another one."""
        now: Fraction | None = self.codec.sample_aspect_ratio
        declared: Fraction | None = self.track.sample_aspect_ratio
        return declared if now == self._aspect_at_open else now

    @property
    def undecodable(self) -> bool:
        """Whether it is no stream that waits for its key frame, but one that cannot be decoded."""
        unknown = not self.codec.width and self.packets < FEW_PACKETS  # most of it is not even taken for packets
        return not self.pictures and (self.key_packets > 0 or self.errors > self.packets // 2 or unknown)

    @property
    def facts(self) -> StreamFacts:
        aspect, name = self.pixel_aspect, self.codec.codec.canonical_name  # not of a library that decodes it
        return StreamFacts(
            codec=CODEC_NAMES.get(name, name.upper()),
            inter_coded=not self.codec.codec.intra_only,
            key_interval_s=self._key_interval_s,
            interlaced=self._deinterlacer.active,
            pixel_aspect=float(aspect) if aspect is not None and is_anamorphic(aspect) else 1.0,
        )

    def rewind(self) -> bool:
        """Begin again at the first picture; False where the container cannot."""
        try:
            self.container.seek(self.track.start_time or 0, stream=self.track)
        except av.FFmpegError:
            return False
        self._deinterlacer.reset()
        self._begin()
        return True

    def close(self) -> None:
        self.container.close()

    def _begin(self) -> None:
        self._ready: deque[Picture] = deque()
        self._doubtful: deque[Picture] = deque()  # with errors; FFmpeg may still give them, in their turn
        self._demuxed: Iterator[Any] = self.container.demux(self.track)
        self.damage = DamageTracker(self.codec, transport=self._transport)

    def _set_up(self, codec: Any, *, strict: bool) -> None:
        at_once = self._live or (strict and not codec.codec.intra_only)  # threads tell of an error some packets late
        # FFmpeg's own choice is one more than there are CPUs, which costs time and a picture's memory.
        codec.thread_count, codec.thread_type = (1, "SLICE") if at_once else (allowed_cpus(), "AUTO")
        limit = {"max_pixels": str(self._max_pixels)}  # FFmpeg refuses more before it allocates it
        codec.options = limit | ({"err_detect": "explode"} if strict else {})

    def _decode(self, packet: Any) -> None:
        read_ns = time.monotonic_ns()
        arrived_ns = read_ns if self._begun_ns is None else self._begun_ns
        if self._joined:
            self._begun_ns = read_ns
        if packet.size:
            self.packets += 1
            self.end_byte = (packet.pos or 0) + packet.size
            if packet.is_keyframe:
                self._on_key_packet(time_ns(packet, decoding=True))
            stamp_ns = self._stamp_ns(packet)
            self.damage.on_packet(packet, stamp_ns)
            self._note_arrival(stamp_ns, arrived_ns)
        self._feed(packet, arrived_ns)

    def _feed(self, packet: Any, arrived_ns: int) -> None:
        try:
            frames = self.codec.decode(packet)
        except av.FFmpegError:
            self._on_error(packet, arrived_ns)
            return
        if packet.is_keyframe:
            self._strict_tries = STRICT_TRIES
        for frame in frames:
            self.damage.on_frame(frame)
            if (frame.key_frame or frame.rotation) and frame.rotation != self._rotation:
                # One in the bitstream holds for what follows, too. Looked at as seldom as can be: a frame whose side
                # data was read stays until the garbage collector comes. findings/pyav-side-data-keeps-the-frame.sh
                self._orientation, self._rotation = orientation_of(frame), frame.rotation
            self._add(self._deinterlacer.push(frame), arrived_ns)
        if not packet.size:
            self._add(self._deinterlacer.flush(), arrived_ns)
            self._ready += self._doubtful
            self._doubtful.clear()

    def _stamp_ns(self, timed: Any) -> int | None:
        """As `time_ns`, of what has the track's time base, without making a fraction of it each time."""
        if timed.pts is None or self._tick is None:
            return None
        return int(timed.pts * self._tick[0] // self._tick[1])

    def _note_arrival(self, stamp_ns: int | None, arrived_ns: int) -> None:
        if stamp_ns is None:
            return
        if len(self._arrivals_ns) >= MAX_WAITING:
            del self._arrivals_ns[next(iter(self._arrivals_ns))]
        self._arrivals_ns.setdefault(stamp_ns, arrived_ns)  # the first of two fields

    def _on_key_packet(self, at_ns: int | None) -> None:
        self.key_packets += 1
        if at_ns is not None and self._key_ns is not None:
            self._key_interval_s = (at_ns - self._key_ns) / NS_PER_S
        self._key_ns = at_ns

    def _add(self, frames: list[Any], arrived_ns: int) -> None:
        self.pictures += len(frames)
        for frame in frames:
            stamp_ns = time_ns(frame) if self._deinterlacer.active else self._stamp_ns(frame)
            self._settle_doubtful(stamp_ns)
            own_ns = arrived_ns if stamp_ns is None else self._arrivals_ns.pop(stamp_ns, arrived_ns)
            self._last_arrival_ns = max(self._last_arrival_ns, own_ns)  # one that others refer to is sent before them
            self._ready.append(
                Picture(
                    frame=frame,
                    stamp_ns=stamp_ns,
                    arrived_ns=self._last_arrival_ns,
                    damaged=self.damage.is_damaged(frame, stamp_ns),
                    orientation=self._orientation,
                )
            )

    def _settle_doubtful(self, stamp_ns: int | None) -> None:
        """Count those before the frame of this time as failed; its own has come after all."""
        while self._doubtful and (stamp_ns is None or (self._doubtful[0].stamp_ns or 0) <= stamp_ns):
            picture = self._doubtful.popleft()
            if picture.stamp_ns != stamp_ns:
                self._ready.append(picture)

    def _on_error(self, packet: Any, arrived_ns: int) -> None:
        inter_coded = not self.codec.codec.intra_only
        self.unstarted += not self.pictures
        if self._strict and inter_coded and not self.key_packets:
            return  # a strict decoder calls it an error that the first key frame has not come yet
        self.errors += 1
        if self._strict and self._errs_by_nature(packet):
            self._decode_leniently()
            self._feed(packet, arrived_ns)
            return
        if not self.pictures:
            return
        self.failed = True
        stamp_ns = time_ns(packet)
        self.damage.on_loss(stamp_ns)
        picture = Picture(frame=None, stamp_ns=stamp_ns, arrived_ns=arrived_ns, damaged=True)
        doubtful = self._strict and inter_coded and stamp_ns is not None
        (self._doubtful if doubtful else self._ready).append(picture)

    def _errs_by_nature(self, packet: Any) -> bool:
        """Whether a strict decoder would leave little of this camera: some send supplemental data that is malformed."""
        inter_coded = not self.codec.codec.intra_only
        if packet.is_keyframe and (inter_coded or not self.pictures):
            self._strict_tries -= 1
            return self._strict_tries == 0 or (inter_coded and not self.pictures)
        return inter_coded and 2 * self.errors > self.packets >= FEW_PACKETS

    def _decode_leniently(self) -> None:
        """Replace the decoder by one that conceals errors."""
        self._strict = False
        lenient: Any = av.CodecContext.create(self.codec.codec.name, "r")
        lenient.extradata = self.codec.extradata
        self._set_up(lenient, strict=False)
        self.codec, self._aspect_at_open = lenient, None


def video_tracks(container: Any) -> list[Any]:
    """The video tracks that are no cover pictures, nor one picture beside a video."""
    tracks = [one for one in container.streams.video if not one.disposition & Disposition.attached_pic]
    tracks = [one for one in tracks if one.codec_context is not None]
    return [one for one in tracks if one.frames != 1] or tracks[:1]  # an animated AVIF has its first picture as one


def _video_track(container: Any) -> Any:
    """The video track that players show: the first that is on by default. Raises CameraLost without one."""
    if tracks := video_tracks(container):
        return next((one for one in tracks if one.disposition & Disposition.default), tracks[0])
    others = sorted({str(one.type) for one in container.streams} & {"audio", "subtitle"})
    if not others:
        raise CameraLost("truncated, or neither a video nor an image", "undecodable")
    raise CameraLost(f"it holds {' and '.join(others)}, no video; give one with video", "no_video")
