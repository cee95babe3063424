"""Small videos with what the field sends: any codec, times, pixel shape, fields, colours; with packets left out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from edged.frame import U8

MS = Fraction(1, 1000)
X264 = {"preset": "ultrafast", "bf": "0"}


def moving_square(count: int, size_wh: tuple[int, int] = (160, 96)) -> list[U8]:
    """Grey images in which a white square moves to the right by 4 px each."""
    width, height = size_wh
    images = []
    for number in range(count):
        image = np.full((height, width, 3), 60, np.uint8)
        x = 4 * number % (width - 24)
        image[height // 3 : height // 3 + 24, x : x + 24] = 255
        images.append(image)
    return images


def write_video(
    path: Path,
    images: Sequence[U8],
    *,
    codec: str = "libx264",
    rate_hz: int = 15,
    gop: int = 75,
    pixel_aspect: Fraction | None = None,
    pixel_format: str = "yuv420p",
    times_ms: Sequence[int] | None = None,
    options: dict[str, str] | None = None,
    lost: Collection[int] = (),
    damaged: Collection[int] = (),
    container_options: dict[str, str] | None = None,
    metadata: dict[str, str] | None = None,
    first_shown: int = 0,
    prepare: Callable[[Any], Any] = lambda frame: frame,
) -> Path:
    """The images as a video. `lost` packets are left out, `damaged` ones have wrong bytes, in the order of coding.

    Frames before `first_shown` have negative times: an edit list hides them, as in a clip that was cut by copying.
    """
    out: Any = av.open(str(path), "w", options=container_options or {})
    out.metadata.update(metadata or {})
    track = out.add_stream(codec, rate=rate_hz, options=X264 if options is None else options)
    track.height, track.width = images[0].shape[:2]
    track.pix_fmt, track.codec_context.gop_size = pixel_format, gop
    track.codec_context.thread_count = 1  # x264 wrote other bytes in 6 of 360 runs with more, in 1 with one
    if pixel_aspect:
        track.codec_context.sample_aspect_ratio = pixel_aspect
    if times_ms:
        track.codec_context.time_base = MS
    packets = []
    for number, image in enumerate(images):
        frame: Any = av.VideoFrame.from_ndarray(image, format="bgr24")
        if times_ms:
            frame.pts, frame.time_base = times_ms[number], MS
        packets += track.encode(prepare(frame))
    for number, packet in enumerate(packets + track.encode(None)):
        if first_shown:
            packet.pts -= first_shown * round(1 / (rate_hz * packet.time_base))
            packet.dts -= first_shown * round(1 / (rate_hz * packet.time_base))
        if number not in lost:
            out.mux(spoilt(packet) if number in damaged else packet)
    out.close()
    return path


def spoilt(packet: Any) -> Any:
    """The packet with wrong bytes in its second half."""
    data = bytearray(bytes(packet))
    for at in range(len(data) // 2, len(data), 7):
        data[at] ^= 0x55
    other: Any = av.Packet(bytes(data))
    other.pts, other.dts, other.time_base, other.stream = packet.pts, packet.dts, packet.time_base, packet.stream
    other.is_keyframe = packet.is_keyframe
    return other
