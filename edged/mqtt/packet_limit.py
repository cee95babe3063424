"""Paho's client with a limit to what one packet from the broker may take in memory.

With MQTT 5 the limit is announced, and a broker drops what is larger. MQTT 3.1.1 cannot announce one, and a broker may
not care: then the length in the packet's fixed header is looked at. Of a message that says more, what is beyond the
limit is read and thrown away, so that it arrives cut and is rejected like any other bad one: were the connection ended
instead, one retained message could keep a device off its broker for ever. Any other packet ends the connection.

For the same reason a message arrives without its properties where paho takes them for malformed: it refuses U+FEFF in
them, which MQTT 5 allows (1.5.4-3) and a broker passes on. One whose topic is no text is left out: it is none of ours.
"""

from __future__ import annotations

from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.exception import MQTTException
from paho.mqtt.properties import VariableByteIntegers

DEVICE_PACKET_BYTES = 1 << 18  # of a daemon, which receives commands, and its own messages back
READER_PACKET_BYTES = 1 << 25  # of `edged watch` and `edged send`: the largest picture has 16 MB
CHUNK_BYTES = 1 << 16
PUBLISH, KIND = 0x30, 0xF0  # first byte of a packet, and the bits of it that say which kind it is
QOS = 0x06  # the bits of a message's quality of service


class LimitedClient(Client):
    """Overrides how paho 2 reads from its socket; a test holds that this is still how it does."""

    def __init__(self, *args: Any, max_packet_bytes: int, **options: Any) -> None:
        super().__init__(*args, **options)
        self._max_packet_bytes = max_packet_bytes

    def _sock_recv(self, bufsize: int) -> bytes:
        packet = self._in_packet
        excess = packet["remaining_length"] - self._max_packet_bytes
        if not packet["have_remaining"] or excess <= 0:
            return super()._sock_recv(bufsize)
        if packet["command"] & KIND != PUBLISH:
            raise ConnectionAbortedError(f"a packet of {packet['remaining_length']} bytes")
        wanted = self._max_packet_bytes - len(packet["packet"])
        data = super()._sock_recv(min(bufsize, CHUNK_BYTES))
        if len(data) <= max(wanted, 1):
            return data
        kept = data[: max(wanted, 1)]  # paho takes an empty answer for the end of the connection
        packet["to_process"] -= len(data) - len(kept)
        return kept

    def _packet_handle(self) -> MQTTErrorCode:
        try:
            return super()._packet_handle()
        except (MQTTException, UnicodeDecodeError):
            packet = self._in_packet
            if self._protocol != MQTTProtocolVersion.MQTTv5 or packet["command"] & KIND != PUBLISH:
                raise
            packet["packet"] = without_properties(packet["packet"], has_id=bool(packet["command"] & QOS))
            return super()._packet_handle()

    def _handle_on_message(self, message: MQTTMessage) -> None:
        if _has_topic(message):
            super()._handle_on_message(message)


def _has_topic(message: MQTTMessage) -> bool:
    try:
        return bool(message.topic)
    except UnicodeDecodeError:
        return False


def without_properties(body: bytearray, *, has_id: bool) -> bytearray:
    """A message of MQTT 5, without its fixed header, with no property. Source: MQTT 5, 3.3.2."""
    at = 2 + int.from_bytes(body[:2], "big") + (2 if has_id else 0)  # behind the topic and the packet's id
    size, digits = VariableByteIntegers.decode(body[at:])  # type: ignore[no-untyped-call]
    return body[:at] + b"\0" + body[at + digits + size :]
