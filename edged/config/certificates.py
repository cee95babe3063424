"""The certificates that a configuration names: authorities to trust, and when each ends.

Upstream: the configuration, its files. Downstream: TLS of brokers and cameras; `health`, `edged doctor`, `edged check`.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path

from edged.config.tables.camera import CameraConfig
from edged.config.tables.mqtt import MqttConfig
from edged.config.tree import Config
from edged.errors import ConfigError
from edged.units import MS_PER_DAY, MS_PER_S

SOON_MS = 30 * MS_PER_DAY  # before its end a certificate is a problem
BROKER = "broker"  # the broker's own certificate
MAX_BYTES = 1 << 20  # of a file: the systems' own lists have a quarter
PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
SEQUENCE, VERSION, UTC_TIME = 0x30, 0xA0, 0x17  # tags of DER
SKIPPED = 3  # of a certificate's fields, after its version: serial number, algorithm, issuer; then the validity


def certificate_ends(config: Config) -> dict[str, int]:
    """The end of each certificate in ms UTC, by the key that names its file. What cannot be read is left out."""
    ends = {f"mqtt.tls.{name}": end_ms for name, end_ms in mqtt_ends(config.mqtt).items()}
    cameras = {f"cameras.{name}.ca": camera.ca for name, camera in config.enabled_cameras.items()}
    page = {"panel.cert": config.panel.cert} if config.panel.enabled else {}
    return ends | _ends(cameras | page)


def load_authorities(context: ssl.SSLContext, key: str, ca: Path | None) -> ssl.SSLContext:
    """`context`, which trusts the authorities of the file from now on; None: the system's. `key` names it in errors.

    Raises ConfigError when the file cannot be used.
    """
    try:
        if ca is None:
            context.load_default_certs()
        else:
            context.load_verify_locations(ca)
    except ssl.SSLError as exc:
        do = "give the whole text, from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----, with its line breaks"
        raise ConfigError(
            f"{key} = {ca}: holds no certificate, or one that was cut or changed; {do}", "tls-ca"
        ) from exc
    except OSError as exc:
        raise ConfigError(f"{key} = {ca}: {exc.strerror or exc}; want a PEM file this user can read", "tls-ca") from exc
    return context


def camera_tls(name: str, camera: CameraConfig) -> ssl.SSLContext:
    """What an `rtsps://` camera is verified by. Raises ConfigError when its `ca` cannot be used."""
    return load_authorities(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), f"cameras.{name}.ca", camera.ca)


def mqtt_ends(mqtt: MqttConfig) -> dict[str, int]:
    """The same for `[mqtt.tls]`, by `ca` and `cert`; empty while TLS is off."""
    return _ends({"ca": mqtt.tls.ca, "cert": mqtt.tls.cert}) if mqtt.tls.enabled else {}


def expiry(end_ms: float, now_ms: float) -> str | None:
    """What is wrong with a certificate that ends then; None: it lasts for more than 30 days."""
    day = datetime.fromtimestamp(end_ms / MS_PER_S, timezone.utc).date()
    if end_ms <= now_ms:
        return f"it ended on {day}; renew it"
    if end_ms - now_ms <= SOON_MS:
        return f"it ends in {(end_ms - now_ms) / MS_PER_DAY:.0f} days, on {day}; renew it"
    return None


def file_end_s(path: Path) -> float:
    """The end of the certificates in a PEM file in s UTC, of the one that lasts longest.

    Raises OSError, and ValueError for a file without a certificate.
    """
    with path.open("rb") as file:
        text = file.read(MAX_BYTES).decode("ascii", "replace")
    found = [der_end_s(ssl.PEM_cert_to_DER_cert(pem)) for pem in PEM.findall(text)]
    if not found:
        raise ValueError(f"{path}: no certificate")
    return max(found)


def der_end_s(certificate: bytes) -> float:
    """The end of a certificate's validity in s UTC. Raises ValueError. Source: RFC 5280, 4.1."""
    try:
        fields = _children(_content(_content(certificate, SEQUENCE), SEQUENCE))
        after_version = [content for tag, content in fields if tag != VERSION]
        tag, end = list(_children(after_version[SKIPPED]))[1]
        form = "%y%m%d%H%M%SZ" if tag == UTC_TIME else "%Y%m%d%H%M%SZ"
        return datetime.strptime(end.decode("ascii"), form).replace(tzinfo=timezone.utc).timestamp()
    except IndexError:
        raise ValueError("not a certificate") from None


def _ends(files: Mapping[str, Path | None]) -> dict[str, int]:
    ends: dict[str, int] = {}
    for key, path in files.items():
        with suppress(OSError, ValueError):
            if path is not None:
                ends[key] = round(file_end_s(path) * MS_PER_S)
    return ends


def _content(data: bytes, tag: int) -> bytes:
    """The content of the first element, which has this tag."""
    found, content = next(_children(data), (0, b""))
    if found != tag:
        raise ValueError("not a certificate")
    return content


def _children(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of every element in DER. Raises IndexError where it is cut off."""
    at = 0
    while at < len(data):
        tag, size, at = data[at], data[at + 1], at + 2
        if size & 0x80:
            count = size & 0x7F
            size, at = int.from_bytes(data[at : at + count], "big"), at + count
        yield tag, data[at : at + size]
        at += size
