"""Addresses are shown as scheme, host and port; nothing else of them leaves the process."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from edged.capture.sources.rtsp_describe import Address
from edged.config.load import load
from edged.config.schema import NAME, all_keys
from edged.config.tables.camera import CameraConfig
from edged.config.toml_text import dotted
from edged.errors import ConfigError
from edged.runtime.log import RecentLines
from edged.secret_address import SecretAddress, redact

SECRET = "s3cr3t_pw"
ADDRESSES = (
    f"rtsp://admin:{SECRET}@cam:554/live",
    f"rtsp://cam:554/user=admin_password={SECRET}_channel=1_stream=0.sdp",
    f"rtsp://cam:554/live?token={SECRET}",
    f"rtsps://cam:554/x?loginuse=admin&loginpas={SECRET}&authbasic={SECRET}",
    f"rtsp://cam:554/{SECRET}",
    f"rtsp://cam:554/live;{SECRET} with a blank {SECRET}",
)


@pytest.mark.parametrize("address", ADDRESSES)
def test_address_is_shown_without_login_path_and_query(address: str) -> None:
    source = SecretAddress(address)
    for text in (str(source), repr(source), f"{source}", str([source])):
        assert SECRET not in text
        assert "cam:554" in text
    assert source.reveal() == address


@pytest.mark.parametrize("address", [address for address in ADDRESSES if " " not in address])  # which no camera has
def test_settings_of_a_camera_do_not_show_its_address(address: str) -> None:
    assert SECRET not in repr(CameraConfig(source=address))
    assert SECRET not in CameraConfig(source=address).model_dump_json()


@pytest.mark.parametrize("source", ["0", "/dev/v4l/by-path/a-b:1.0", "csi:0", "clips/barn 1.mp4", "~/a@2x.png"])
def test_device_or_path_is_shown_whole(source: str) -> None:
    assert str(SecretAddress(source)) == source


def test_text_around_addresses_stays() -> None:
    text = redact("camera a: rtsp://u:p@cam/x?y=1: refused; see rtsps://[::1]:322/b, and /dev/video0")
    assert text == "camera a: rtsp://***@cam/…: refused; see rtsps://[::1]:322/…, and /dev/video0"


@pytest.mark.parametrize("text", [f"rtsp:/admin:{SECRET}@cam/a", f"admin:{SECRET}@cam/a", f"http:cam/{SECRET}"])
def test_misspelt_address_is_redacted_too(text: str) -> None:
    assert SECRET not in redact(text)


def test_log_lines_and_tracebacks_hold_no_address(tmp_path: Path) -> None:
    lines, log = RecentLines(), logging.getLogger("edged.test_secret_address")
    log.addHandler(lines)
    try:
        try:
            raise ValueError(f"cannot open rtsp://u:{SECRET}@cam/{SECRET}")
        except ValueError:
            log.exception("camera %s", f"rtsp://cam/{SECRET}")
    finally:
        log.removeHandler(lines)
    assert SECRET not in "\n".join(lines.lines)
    assert "cannot open rtsp://***@cam/…" in "\n".join(lines.lines)


def test_text_of_a_camera_is_without_what_it_repeats_of_the_request() -> None:
    address = Address.from_settings(CameraConfig(source=f"rtsp://me:p%40ssword@cam/live/{SECRET}?token=abcdef"))
    answer = f"no stream live/{SECRET} for token abcdef, {address.url}, password p@ssword"
    text = address.without_secrets(answer)
    assert not any(secret in text for secret in (SECRET, "abcdef", "p@ssword"))


@pytest.mark.parametrize("shape", ['"{}"', '["{}"]'], ids=["text", "list"])
def test_login_in_any_key_is_not_told_by_what_refuses_it(shape: str, tmp_path: Path) -> None:
    file = tmp_path / "edged.toml"
    value = shape.format("https://user:s3cr3t@host/s3cr3t?token=s3cr3t")
    tables = {key[:count] for key in all_keys() for count in range(len(key))}
    leaves = [key for key in all_keys() if key not in tables]
    keys = [dotted(tuple("camera" if part == NAME else part for part in key)) for key in leaves]
    file.write_text("".join(f"{key} = {value}\n" for key in keys))
    with pytest.raises(ConfigError) as raised:
        load(file, env={})
    assert "s3cr3t" not in str(raised.value)
    assert str(raised.value).count("\n") > 100
