#!/bin/sh
# pyMeterBus 0.8.5, M-Bus (meters of heat, water and current): what a meter sends for "not measured" comes out as a plausible
# number (EN 13757-3, annex A). In BCD a digit of A to E says that the value is invalid; they are counted as 10 to 14, so
# that a broken sensor has 131.3 degrees. The smallest signed number says the same, and is a reading of -3276.8. A time
# has a bit for "invalid", which is not looked at. A time of 6 bytes (type I, with seconds; newer meters have nothing else) is
# read as one of 4: it has 30 hours, and is years away. No error, no mark.
#
# Seen (what the meter sends: what comes out):
#   23.4 degrees in BCD: 23.4
#   invalid in BCD: 131.3
#   invalid in 16 bits: -3276.8
#   2026-10-25 02:30: 2026-10-25T02:30
#   2026-10-25 02:30, marked as invalid: 2026-10-25T02:30
#   2026-10-25 02:30:15, 6 bytes: 2040-09-02T30:15
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pyMeterBus==0.8.5
"$folder/venv/bin/python" - <<'PYTHON'
import meterbus

TEMPERATURE, TIME = 0x5A, 0x6D  # flow temperature in tenths of a degree; date and time
DATE = bytes([25 | (26 & 7) << 5, 10 | (26 >> 3) << 4])  # 25 October 2026
INVALID = 0x80


def telegram(record: bytes) -> bytes:
    """An answer of a heat meter with one record."""
    header = bytes.fromhex("08 01 72 78563412 2D2C 01 07 01 00 0000")
    body = header + record
    return bytes([0x68, len(body), len(body), 0x68]) + body + bytes([sum(body) & 0xFF, 0x16])


for name, record, expected in (
    ("23.4 degrees in BCD", bytes([0x0A, TEMPERATURE, 0x34, 0x02]), 23.4),
    ("invalid in BCD", bytes([0x0A, TEMPERATURE, 0xDD, 0xDD]), 131.3),
    ("invalid in 16 bits", bytes([0x02, TEMPERATURE, 0x00, 0x80]), -3276.8),
    ("2026-10-25 02:30", bytes([0x04, TIME, 30, 2]) + DATE, "2026-10-25T02:30"),
    ("2026-10-25 02:30, marked as invalid", bytes([0x04, TIME, 30 | INVALID, 2]) + DATE, "2026-10-25T02:30"),
    ("2026-10-25 02:30:15, 6 bytes", bytes([0x06, TIME, 15, 30, 2]) + DATE + b"\0", "2040-09-02T30:15"),
):
    (answer,) = meterbus.load(telegram(record)).records
    seen = answer.parsed_value if isinstance(answer.parsed_value, str) else round(float(answer.parsed_value), 1)
    print(f"{name}: {seen}")
    assert seen == expected, expected
PYTHON
