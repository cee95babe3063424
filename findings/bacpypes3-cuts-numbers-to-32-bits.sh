#!/bin/sh
# bacpypes3 0.0.110, BACnet: an Integer has as many bytes as it needs (ASHRAE 135, 20.2.5), for counters of energy or litres 5
# and more. bacpypes3 keeps the whole number, shows it, and encodes its lower 32 bits: 3 000 000 000 Wh go out as -1 294 967 296,
# and no error. The range of 32 bits signed is not looked at either, so that it begins at 2 147 483 648. Unsigned, beside it,
# raises above 32 bits. What other devices send in 5 bytes is read right, so that a gateway that passes it on makes it wrong.
#
# Seen (the number, what a reader of its encoding gets):
#   2147483647: 2147483647
#   2147483648: -2147483648
#   3000000000: -1294967296
#   -3000000000: 1294967296
#   5 bytes of another device, 3000000000: 3000000000, passed on: -1294967296
#   Unsigned, 2 ** 40: error
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check bacpypes3==0.0.110
"$folder/venv/bin/python" - <<'PYTHON'
import struct

from bacpypes3.primitivedata import ApplicationTag, Integer, TagList, TagNumber, Unsigned


def received(number: int) -> int:
    """What a reader takes from the bytes of the encoded number, by the standard: two's complement, most significant first."""
    (tag,) = Integer(number).encode()
    return int.from_bytes(tag.tag_data, "big", signed=True)


for number, expected in (
    (2**31 - 1, 2**31 - 1),
    (2**31, -(2**31)),
    (3_000_000_000, -1_294_967_296),
    (-3_000_000_000, 1_294_967_296),
):
    assert Integer(number) == number
    seen = received(number)
    print(f"{number}: {seen}")
    assert seen == expected, expected
tag = ApplicationTag(TagNumber.integer, bytearray((3_000_000_000).to_bytes(5, "big")))
other = Integer.decode(TagList([tag]))
print(f"5 bytes of another device, 3000000000: {other}, passed on: {received(other)}")
assert (other, received(other)) == (3_000_000_000, -1_294_967_296)
try:
    Unsigned(2**40).encode()
    raise SystemExit("Unsigned: no error")
except struct.error:
    print("Unsigned, 2 ** 40: error")
PYTHON
