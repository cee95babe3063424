"""Certificates that end: found in their files, and a problem in time."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pytest

from edged.config.certificates import camera_tls, certificate_ends, der_end_s, expiry, file_end_s
from edged.config.tables.camera import CameraConfig
from edged.config.tables.mqtt import MqttConfig
from edged.config.tree import Config
from edged.device.problems import ProblemTracker
from edged.errors import ConfigError
from edged.mqtt.tls import EXPIRED, NOT_YET_VALID, OTHER_NAME, UNKNOWN_ISSUER, certificate_fault
from edged.units import MS_PER_DAY

# Of `openssl req -x509 -newkey ec -days …`: ends on 2049-12-31 (UTCTime) and on 2051-01-01 (GeneralizedTime).
VALIDITY = (
    (b"\x17\x0d260101000000Z\x17\x0d491231235959Z", datetime(2049, 12, 31, 23, 59, 59, tzinfo=timezone.utc)),
    (b"\x17\x0d260101000000Z\x18\x0f20510101000000Z", datetime(2051, 1, 1, tzinfo=timezone.utc)),
)


def element(tag: int, content: bytes) -> bytes:
    size = len(content)
    return bytes([tag, size] if size < 128 else [tag, 0x82, size >> 8, size & 255]) + content


def certificate(validity: bytes) -> bytes:
    """The fields of a certificate up to its validity, the issuer longer than 127 bytes."""
    fields = element(0xA0, b"\2\1\2") + element(2, b"\1") + element(0x30, b"") + element(0x30, b"\0" * 300)
    return element(0x30, element(0x30, fields + element(0x30, validity) + element(0x30, b"")))


@pytest.mark.parametrize(("validity", "end"), VALIDITY, ids=["before 2050", "from 2050 on"])
def test_end_of_a_certificate_is_read(validity: bytes, end: datetime) -> None:
    assert der_end_s(certificate(validity)) == end.timestamp()


def test_cut_certificate_raises_value_error() -> None:
    whole = certificate(VALIDITY[0][0])
    for size in range(len(whole) - 20):
        with pytest.raises(ValueError, match=r"."):
            der_end_s(whole[:size])


def test_file_without_certificate_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("-----BEGIN CERTIFICATE-----\nno base64!\n-----END CERTIFICATE-----")
    with pytest.raises(ValueError, match=r"."):
        file_end_s(file)
    config = Config.model_validate({"mqtt": {"tls": {"enabled": True, "ca": str(file)}}})
    assert certificate_ends(config) == {}


@pytest.mark.parametrize(
    ("days", "want"),
    [(-1, "it ended on 2026-01-01; renew it"), (29, "it ends in 29 days, on 2026-01-31; renew it"), (31, None)],
)
def test_certificate_is_a_problem_from_30_days_before_its_end(days: int, want: str | None) -> None:
    now_ms = round(datetime(2026, 1, 2, 12, tzinfo=timezone.utc).timestamp() * 1000)
    end_ms = now_ms + days * MS_PER_DAY
    assert expiry(end_ms, now_ms) == want
    device = {
        "disk_used_percent": 1,
        "memory_available_mb": 1,
        "memory_total_mb": 1,
        "temperature_c": 1,
        "throttle": None,
    }
    body = {"device": {**device, "hardware_throttling": None}, "cameras": {}, "models": {}, "clock": {"synced": True}}
    found = ProblemTracker().update({**body, "certificates_end_ts": {"broker": end_ms}}, 0, utc_ms=now_ms)
    assert [(problem.code, problem.source) for problem, _ in found] == [("certificate-expiry", "broker")] * bool(want)


@pytest.mark.parametrize(
    ("code", "year", "expected"),
    [
        (EXPIRED, 2041, "it expired on "),
        (EXPIRED, 2030, "its CA, or an intermediate, has expired"),
        (NOT_YET_VALID, 2019, "it is valid from "),
        (NOT_YET_VALID, 2030, "its CA, or an intermediate, is not valid yet"),
    ],
)
def test_certificate_whose_time_is_right_is_not_blamed_for_that_of_its_ca(code: int, year: int, expected: str) -> None:
    shown = {"notBefore": "Jan  1 00:00:00 2020 GMT", "notAfter": "Jan  1 00:00:00 2040 GMT"}
    now_s = datetime(year, 1, 1, tzinfo=timezone.utc).timestamp()
    assert certificate_fault(code, "of OpenSSL", MqttConfig(), shown, now_s).startswith(expected)


@pytest.mark.parametrize("code", [*OTHER_NAME, *UNKNOWN_ISSUER])
@pytest.mark.parametrize("field", ["subject", "issuer", "subjectAltName"])
def test_names_of_a_foreign_certificate_are_short_and_printable(code: int, field: str) -> None:
    hostile = "\x1b]0;owned\x07\n" + "x" * 5000
    names = (("DNS", hostile),) if field == "subjectAltName" else ((("commonName", hostile),),)
    fault = certificate_fault(code, "of OpenSSL", MqttConfig(), {field: names}, 0.0)
    assert fault.isprintable()
    assert len(fault) < 600


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (None, "No such file or directory; want a PEM file"),
        (b"", "holds no certificate, or one that was cut"),
        (
            b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
            "holds no certificate, or one that was cut",
        ),
    ],
    ids=["none", "empty", "cut"],
)
def test_authority_of_a_camera_that_cannot_be_used_is_named(content: bytes | None, error: str, tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=rf"^cameras\.yard\.ca = {path}: {error}"):
        camera_tls("yard", CameraConfig.model_validate({"source": "rtsps://10.0.0.1/a", "ca": path}))
