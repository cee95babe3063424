"""GStreamer pipelines as text, for a cv2 that can run them. Pure functions; used by csi.py and rtsp.py."""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

from edged.units import US_PER_S

# Keeps only the newest frame and hands it over at once.
SINK = "appsink drop=true max-buffers=1 sync=false"
# From the video engine's memory. NV12 needs no conversion; the last step to BGR runs on the CPU.
FROM_NVMM = {
    "nv12": "nvvidconv{flip} ! video/x-raw,format=NV12",
    "bgr": "nvvidconv{flip} ! video/x-raw,format=BGRx ! videoconvert ! video/x-raw,format=BGR",
}
# nvvidconv flip-method by clockwise turn in degrees. Source: L4T Accelerated GStreamer guide, video rotation.
FLIP = {0: 0, 90: 3, 180: 2, 270: 1}

Codec = Literal["auto", "h264", "h265"]
OutputFormat = Literal["bgr", "nv12"]


def rtsp_pipeline(
    url: str,
    codec: Codec,
    *,
    timeout_s: float,
    pixel_format: OutputFormat = "bgr",
) -> str:
    """The pipeline from an RTSP address (without credentials) to frames, by the Jetson's video engine."""
    source = f"rtspsrc location={quoted(url)} protocols=tcp latency=0 tcp-timeout={round(timeout_s * US_PER_S)}"
    if codec == "auto":
        decoder = "decodebin"
    else:
        decoder = f"rtp{codec}depay ! {codec}parse ! nvv4l2decoder enable-max-performance=1"
    convert = FROM_NVMM[pixel_format].format(flip="")
    return f"{source} ! {decoder} ! {convert} ! {SINK}"


def csi_pipeline(
    sensor: int, size: tuple[int, int] | None, fps_hz: float, rotate: int, pixel_format: OutputFormat = "bgr"
) -> str:
    """The pipeline from a CSI sensor through the ISP to upright frames. `rotate`: clockwise, in degrees."""
    caps = "video/x-raw(memory:NVMM),format=NV12"
    if size is not None:
        caps += f",width={size[0]},height={size[1]}"
    if fps_hz:
        rate = Fraction(fps_hz).limit_denominator(1001)
        caps += f",framerate={rate.numerator}/{rate.denominator}"
    convert = FROM_NVMM[pixel_format].format(flip=f" flip-method={FLIP[rotate]}")
    return f"nvarguscamerasrc sensor-id={sensor} ! {caps} ! {convert} ! {SINK}"


def quoted(text: str) -> str:
    """A property value, quoted for gst_parse_launch."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
