#!/bin/sh
# paho-mqtt 2.2.0: a string in an MQTT 5 packet that holds U+FEFF is a malformed packet to it, under the number of the
# rule (MQTT-1.5.4-3) that says the opposite: U+FEFF is a character like any other wherever it stands, and must not be
# stripped. A broker passes such properties on (mosquitto 2.0.11 does), and the client that receives one ends its
# connection. It sends them itself.
#
# Seen:
#   written: b'\x00\x04a\xef\xbb\xbf'
#   read: [MQTT-1.5.4-3] U+FEFF in UTF-8 data
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check paho-mqtt==2.2.0
"$folder/venv/bin/python" - <<'PYTHON'
from paho.mqtt.exception import MalformedPacket
from paho.mqtt.properties import readUTF, writeUTF

written = bytes(writeUTF("a\ufeff"))
print("written:", written)
assert written == b"\x00\x04a\xef\xbb\xbf"
try:
    found = readUTF(written, len(written))
except MalformedPacket as error:
    found = error
print("read:", found)
assert "U+FEFF" in str(found)
PYTHON
