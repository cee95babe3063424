"""Why a broker cannot be reached, or does not let us in: the errors of `MqttConnection.open`, with what to do."""

from __future__ import annotations

import ssl

from paho.mqtt.client import WebsocketConnectionError

from edged.config.tables.mqtt import MqttConfig
from edged.errors import BrokerLost
from edged.mqtt.negotiation import (
    QOS_REFUSED,
    RETAIN_REFUSED,
    ConnectionRefused,
    GreetingRefused,
    NoConnack,
    UnsupportedProtocol,
)
from edged.mqtt.tls import explain_certificate
from edged.mqtt.websocket import handshake_fault

# Names of MQTT 5 reason codes; paho has those of 3.1.1 under the same names.
TRANSIENT_REASONS = frozenset(  # reconnect soon
    {"Server shutting down", "Keep alive timeout", "Server busy", "Server unavailable", "Session taken over"}
)
WEBSOCKET_ERRORS = (WebsocketConnectionError, ValueError, IndexError, TimeoutError)  # paho's, of a handshake
CHECK_LOGIN = "check mqtt.username and its password, and whether the broker lets this client in"
CURES = {  # of a refused CONNECT
    "Not authorized": CHECK_LOGIN,
    "Bad user name or password": CHECK_LOGIN,
    "Client identifier not valid": "the client id is device.id; give this device one that the broker takes",
    "Topic name invalid": "the last will's topic begins with mqtt.base_topic; give one that the broker takes",
    "Packet too large": "the last will is too large for it; raise its limit",
    "Quota exceeded": "too many clients or messages for the broker; see its limits",
    "Use another server": "set mqtt.host to the broker's new address",
    "Server moved": "set mqtt.host to the broker's new address",
}
ENDED_CURES = CURES | {  # of a connection that the broker ended
    "Message rate too high": "lower fps of the cameras, or raise the broker's limit",
    "Connection rate exceeded": "raise the broker's limit",
    "Administrative action": "somebody, or a rule, ended it at the broker",
}


def address(broker: MqttConfig) -> str:
    return f"broker {broker.place}"


def reason_code(reason: str) -> str:
    """A reason as the code of an error: `not-authorized`."""
    return reason.lower().replace(" ", "-")


def ended(reason: str) -> str:
    """For a connection that the broker ended with this reason, and what to do."""
    cure = ENDED_CURES.get(reason)
    return f"ended by the broker: {reason}" + (f"; {cure}" if cure else "")


def refused(broker: MqttConfig, version: str, reason: str) -> BrokerLost:
    """For a CONNECT that was answered with this reason."""
    text = f"{address(broker)}: refused: {reason}"
    if reason == "Unsupported protocol version":
        return UnsupportedProtocol(f"{address(broker)}: does not speak MQTT {version}")
    if reason in (RETAIN_REFUSED, QOS_REFUSED):
        return GreetingRefused(text, reason)
    if reason in TRANSIENT_REASONS:
        return BrokerLost(text, reason_code(reason))
    return ConnectionRefused(f"{text}; {CURES.get(reason, 'see the log of the broker')}", reason_code(reason))


def unanswered(broker: MqttConfig, version: str, timeout_s: float, *, closed: bool) -> NoConnack:
    """For a CONNECT without an answer; `closed`: the broker hung up."""
    did = "closed the connection after" if closed else f"sent nothing for {timeout_s:g} s after"
    causes, code = [], "no-connack"
    if not broker.tls.enabled:
        causes, code = ["want TLS, see mqtt.tls"], "tls-wanted"
    elif not broker.tls.cert:
        causes, code = ["want a certificate, see mqtt.tls.cert"], "certificate-wanted"
    causes += ["take no packets of this size, with the last will"] if closed else []
    hint = f"; it may {', or '.join(causes)}" if causes else ""
    return NoConnack(f"{address(broker)}: {did} our MQTT {version} CONNECT", code, hint=hint, closed=closed)


def unreachable(broker: MqttConfig, exc: Exception) -> BrokerLost:
    """For a connection that could not be made, or not with TLS."""
    if isinstance(exc, ssl.SSLCertVerificationError):
        fault = explain_certificate(broker, exc)
        return ConnectionRefused(f"{address(broker)}: its certificate is not accepted: {fault}", "certificate")
    if broker.tls.enabled and isinstance(exc, TimeoutError) and "handshake" in str(exc):
        text = f"{address(broker)}: accepts the connection and answers no TLS handshake"
        return BrokerLost(f"{text}; {_tls_port(broker)}", "not-a-tls-port")
    if broker.transport == "websocket" and isinstance(exc, WEBSOCKET_ERRORS):
        return _no_websocket(broker, exc)
    text = f"{address(broker)}: {getattr(exc, 'strerror', None) or exc}"
    if broker.tls.enabled and isinstance(exc, ConnectionResetError | ssl.SSLError):
        # A port that answers a TLS handshake with anything but a certificate is no TLS port.
        error = BrokerLost if isinstance(exc, ssl.SSLEOFError | ConnectionResetError) else ConnectionRefused
        return error(f"{text}; {_tls_port(broker)}", "not-a-tls-port")
    return BrokerLost(text, "unreachable")


def _tls_port(broker: MqttConfig) -> str:
    return f"is {broker.port} its port for TLS? 8883 is usual"


def _no_websocket(broker: MqttConfig, exc: Exception) -> BrokerLost:
    """For an answer that is no WebSocket; one that may be over soon is asked for again soon."""
    try:
        fault, status = handshake_fault(broker)
    except (OSError, ValueError):
        if isinstance(exc, TimeoutError):  # of the connection itself
            return BrokerLost(f"{address(broker)}: {exc}", "unreachable")
        return BrokerLost(f"{address(broker)}: {exc}; see the log of the server in front of the broker", "websocket")
    error = ConnectionRefused if 300 <= status < 500 else BrokerLost
    return error(f"{address(broker)}: {fault}", "websocket")
