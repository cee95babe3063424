"""TLS for the broker connection: its context, and why a broker's certificate is not accepted, in words.

Downstream: `connection`. A certificate is read by a handshake that checks nothing and sends nothing.
"""

from __future__ import annotations

import logging
import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import ip_address
from typing import Any

from edged.config.certificates import load_authorities
from edged.config.tables.mqtt import MqttConfig, TlsConfig
from edged.errors import ConfigError
from edged.foreign_text import printable

log = logging.getLogger(__name__)

FETCH_TIMEOUT_S = 3.0  # of the handshake that reads a certificate
X509_PARTIAL_CHAIN, X509_NO_CHECK_TIME = 0x80000, 0x200000  # X509_V_FLAG_… of OpenSSL, x509_vfy.h
# X509_V_ERR_… of the same file
NOT_YET_VALID, EXPIRED = 9, 10
OTHER_NAME = (62, 64)  # host name, IP address
UNKNOWN_ISSUER = (18, 19, 20, 21)  # self-signed, self-signed in the chain, issuer not found, first not verified

Certificate = Mapping[str, Any]  # as `SSLSocket.getpeercert` has it


class NamedContext(ssl.SSLContext):
    """A client's context that asks for, and accepts, a certificate of `server_name` in place of the address."""

    server_name = ""

    def wrap_socket(  # noqa: PLR0917  as inherited
        self,
        sock: socket.socket,
        server_side: bool = False,
        do_handshake_on_connect: bool = True,
        suppress_ragged_eofs: bool = True,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLSocket:
        name = self.server_name or server_hostname
        return super().wrap_socket(sock, server_side, do_handshake_on_connect, suppress_ragged_eofs, name, session)


def tls_context(tls: TlsConfig) -> ssl.SSLContext:
    """Raises ConfigError, with the name of the file that cannot be used."""
    context = NamedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.server_name = tls.server_name
    load_authorities(context, "mqtt.tls.ca", tls.ca)
    if tls.cert is not None and tls.key is not None:
        try:
            context.load_cert_chain(tls.cert, tls.key, password="")
        except OSError as exc:
            raise ConfigError(
                f"mqtt.tls.cert = {tls.cert}, key = {tls.key}: {exc.strerror or exc}; "
                "want a PEM pair that belongs together, without a pass phrase, that this user can read",
                "tls-key-pair",
            ) from exc
    return context


def check_tls(broker: MqttConfig) -> None:
    """Warns of a password that is sent in the clear. Raises ConfigError when the TLS files cannot be used."""
    if broker.tls.enabled:
        tls_context(broker.tls)
    elif broker.username and (away := [node.host for node in broker.nodes if not _is_loopback(node.host)]):
        log.warning("mqtt.username and its password are sent to %s in the clear; enable mqtt.tls", away[0])


def explain_certificate(broker: MqttConfig, error: ssl.SSLCertVerificationError) -> str:
    """Why the broker's certificate is not accepted, and what to do."""
    certificate: Certificate = {}
    with suppress(OSError, ValueError):
        certificate = fetch_certificate(broker.host, broker.port, broker.tls.server_name)
    return certificate_fault(error.verify_code, error.verify_message, broker, certificate, time.time())


def certificate_fault(code: int, message: str, broker: MqttConfig, certificate: Certificate, now_s: float) -> str:
    """The text for one `verify_code` of OpenSSL; `now_s` is UTC. An empty certificate could not be read."""
    if code not in (*OTHER_NAME, *UNKNOWN_ISSUER, EXPIRED, NOT_YET_VALID):
        return f"{message}; have the broker's certificate made anew: for a server, with its name as a subjectAltName"
    if not certificate:
        return message
    if code in OTHER_NAME:
        return _other_name(broker.tls.server_name or broker.host, certificate)
    if code in UNKNOWN_ISSUER:
        return _unknown_issuer(broker.tls, certificate)
    clock = f"this device's clock says {time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime(now_s))}"
    return f"{_time_fault(code, certificate, now_s)}; {clock}; renew the certificate, or set the clock if it is wrong"


def _time_fault(code: int, certificate: Certificate, now_s: float) -> str:
    """OpenSSL tells alike of the certificate and of those above it."""
    if code == EXPIRED and ssl.cert_time_to_seconds(certificate["notAfter"]) < now_s:
        return f"it expired on {certificate['notAfter']}"
    if code == NOT_YET_VALID and ssl.cert_time_to_seconds(certificate["notBefore"]) > now_s:
        return f"it is valid from {certificate['notBefore']} on only"
    return f"its CA, or an intermediate, {'has expired' if code == EXPIRED else 'is not valid yet'}"


def fetch_certificate(host: str, port: int, server_name: str = "") -> Certificate:
    """The certificate that a server shows. Raises OSError or ValueError when it cannot be read.

    Python decodes only what it has verified: the second handshake trusts the very certificate of the first.
    """
    name = server_name or host
    unverified = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((host, port), FETCH_TIMEOUT_S) as plain,
        unverified.wrap_socket(plain, server_hostname=name) as sock,
    ):
        encoded = ssl.DER_cert_to_PEM_cert(sock.getpeercert(binary_form=True) or b"")
    context = ssl.create_default_context(cadata=encoded)
    context.check_hostname = False
    context.verify_flags |= X509_PARTIAL_CHAIN | X509_NO_CHECK_TIME
    with (
        socket.create_connection((host, port), FETCH_TIMEOUT_S) as plain,
        context.wrap_socket(plain, server_hostname=name) as sock,
    ):
        return sock.getpeercert() or {}


def _other_name(host: str, certificate: Certificate) -> str:
    names = [f"{kind} {name}" for kind, name in certificate.get("subjectAltName", ())]
    wanted = f"have {host} put into it as a subjectAltName"
    if not names:
        return f"it has no subjectAltName, and its common name {_name(certificate, 'subject')} does not count; {wanted}"
    do = f"set mqtt.tls.server_name (or mqtt.host) to a name that it is for, or {wanted}"
    return f"it is for {printable(', '.join(names))}, and not for {host}; {do}"


def _unknown_issuer(tls: TlsConfig, certificate: Certificate) -> str:
    issuer, ca = _name(certificate, "issuer"), f"mqtt.tls.ca = {tls.ca}" if tls.ca else "the system's store"
    if certificate.get("issuer") == certificate.get("subject"):
        return f"it is signed by itself ({issuer}) and not in {ca}; put it, or the CA that you trust, into mqtt.tls.ca"
    return (
        f"it is signed by {issuer}, which is not in {ca}; put that CA there, or, if it is an intermediate, have the "
        "broker send it along with its certificate"
    )


def _name(certificate: Certificate, part: str) -> str:
    names = dict(pair for group in certificate.get(part, ()) for pair in group)
    return printable(str(names.get("commonName") or ", ".join(names.values()) or "nobody"))


def _is_loopback(host: str) -> bool:
    """Whether nothing leaves this device on the way to the host."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
