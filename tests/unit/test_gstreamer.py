"""GStreamer pipelines as text, and RTSP addresses without their passwords."""

from __future__ import annotations

import pytest

from edged.capture.sources.gstreamer import csi_pipeline, quoted, rtsp_pipeline
from edged.capture.sources.rtsp_describe import Address, media
from edged.config.tables.camera import CameraConfig

TO_BGR = "video/x-raw,format=BGRx ! videoconvert ! video/x-raw,format=BGR"
SINK = "appsink drop=true max-buffers=1 sync=false"


def test_csi_pipeline_with_size_rate_and_rotation_sets_caps_and_flip_method() -> None:
    assert csi_pipeline(1, (1280, 720), 30, 90) == (
        "nvarguscamerasrc sensor-id=1 ! video/x-raw(memory:NVMM),format=NV12,width=1280,height=720,framerate=30/1"
        f" ! nvvidconv flip-method=3 ! {TO_BGR} ! {SINK}"
    )


def test_csi_pipeline_without_size_and_rate_leaves_them_to_the_sensor() -> None:
    assert csi_pipeline(0, None, 0, 0) == (
        "nvarguscamerasrc sensor-id=0 ! video/x-raw(memory:NVMM),format=NV12"
        f" ! nvvidconv flip-method=0 ! {TO_BGR} ! {SINK}"
    )


@pytest.mark.parametrize(("rotate", "method"), [(0, 0), (90, 3), (180, 2), (270, 1)])
def test_csi_pipeline_rotation_is_clockwise(rotate: int, method: int) -> None:
    assert f"flip-method={method} " in csi_pipeline(0, None, 0, rotate)


def test_csi_pipeline_fractional_rate_becomes_a_fraction() -> None:
    assert "framerate=30000/1001" in csi_pipeline(0, None, 30000 / 1001, 0)


def test_rtsp_pipeline_uses_the_video_engine() -> None:
    assert rtsp_pipeline("rtsp://c/1", "h265", timeout_s=10) == (
        'rtspsrc location="rtsp://c/1" protocols=tcp latency=0 tcp-timeout=10000000'
        " ! rtph265depay ! h265parse ! nvv4l2decoder enable-max-performance=1"
        f" ! nvvidconv ! {TO_BGR} ! {SINK}"
    )


def test_rtsp_pipeline_codec_auto_uses_decodebin() -> None:
    assert " ! decodebin ! " in rtsp_pipeline("rtsp://c/1", "auto", timeout_s=1)


def test_rtsp_pipeline_quotes_in_the_address_are_escaped() -> None:
    assert r'location="rtsp://c/\"b\\c"' in rtsp_pipeline('rtsp://c/"b\\c', "auto", timeout_s=1)
    assert quoted("") == '""'


def address(source: str, **keys: str) -> Address:
    return Address.from_settings(CameraConfig.model_validate({"source": source, **keys}))


def test_address_credentials_in_the_source_are_removed_from_the_url() -> None:
    got = address("rtsp://me:p%40ss@cam:8554/live?x=1")
    assert (got.host, got.port, got.username, got.password) == ("cam", 8554, "me", "p@ss")
    assert got.url == "rtsp://cam:8554/live?x=1"
    assert got.masked_url == "rtsp://cam:8554/…"


def test_address_configured_credentials_override_those_of_the_source() -> None:
    got = address("rtsp://me:old@cam/live", username="admin", password="a:b/c@d")
    assert (got.username, got.password, got.port) == ("admin", "a:b/c@d", 554)


def test_address_masked_url_and_repr_hold_no_password() -> None:
    for source in (
        "rtsp://me:s3cret@cam/live",
        "rtsp://cam/x?user=a&password=s3cret&c=1",
        "rtsp://cam/user=admin_password=first_s3cret_channel=1_stream=0.sdp",
        "rtsp://cam/live?loginuse=admin&loginpas=s3cret",
        "rtsp://cam/s3cret",
    ):
        got = address(source)
        assert "s3cret" not in got.masked_url
        assert "s3cret" not in repr(got)


def test_media_are_read_from_an_sdp() -> None:
    sdp = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H265/90000\r\nm=audio 0 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
    assert media(sdp) == [("video", "H265"), ("audio", "PCMU")]


def test_media_of_a_hostile_sdp_are_few_short_and_printable() -> None:
    tracks = media(("m=video\x1b[2J 0\r\na=rtpmap:96 H\x1b]0;" + "x" * 500 + "/9\r\n") * 99)
    assert len(tracks) == 8
    assert all(text.isprintable() and len(text) <= 41 for track in tracks for text in track)


def test_pipelines_nv12_is_not_converted_to_bgr() -> None:
    assert csi_pipeline(0, None, 0, 180, "nv12").endswith(
        f"format=NV12 ! nvvidconv flip-method=2 ! video/x-raw,format=NV12 ! {SINK}"
    )
    rtsp = rtsp_pipeline("rtsp://c/1", "h264", timeout_s=1, pixel_format="nv12")
    assert rtsp.endswith(f"nvv4l2decoder enable-max-performance=1 ! nvvidconv ! video/x-raw,format=NV12 ! {SINK}")
    assert "BGR" not in rtsp_pipeline("rtsp://c/1", "h264", timeout_s=1, pixel_format="nv12")
