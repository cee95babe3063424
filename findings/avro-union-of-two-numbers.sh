#!/bin/sh
# Avro: a value that may be a whole number or not is a union of long and double, and the two Python libraries choose
# differently. fastavro 1.13.1 takes the first type that an int fits, avro 1.12.2 the last one, and an int fits double. So
# with fastavro ["double", "long"] never writes a long, with avro ["long", "double"] never does: an id, a counter or a time
# in nanoseconds of more than 53 bits is rounded, silently, and each 5 comes back as 5.0. No order is right for both.
# The same rule makes avro write True as 1 where a number stands behind boolean, and 0.1 as a float of 32 bits in
# ["double", "float"], while fastavro keeps them.
#
# Seen (written and read by the same library; fastavro, avro):
#   double, long: 1796032800123456789: 1.7960328001234568e+18, 1796032800123456789
#   long, double: 1796032800123456789: 1796032800123456789, 1.7960328001234568e+18
#   long, double: 5: 5, 5.0
#   double, float: 0.1: 0.1, 0.10000000149011612
#   boolean, long: True: True, 1
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check fastavro==1.13.1 avro==1.12.2
"$folder/venv/bin/python" - <<'PYTHON'
import io
import json

import avro.io
import avro.schema
import fastavro


def by_fastavro(schema: list[str], value: object) -> object:
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, schema, value)
    buffer.seek(0)
    return fastavro.schemaless_reader(buffer, schema)


def by_avro(schema: list[str], value: object) -> object:
    parsed, buffer = avro.schema.parse(json.dumps(schema)), io.BytesIO()
    avro.io.DatumWriter(parsed).write(value, avro.io.BinaryEncoder(buffer))
    buffer.seek(0)
    return avro.io.DatumReader(parsed).read(avro.io.BinaryDecoder(buffer))


TIME_NS = 1796032800123456789
for schema, value, expected in (
    (["double", "long"], TIME_NS, (str(float(TIME_NS)), str(TIME_NS))),
    (["long", "double"], TIME_NS, (str(TIME_NS), str(float(TIME_NS)))),
    (["long", "double"], 5, ("5", "5.0")),
    (["double", "float"], 0.1, ("0.1", "0.10000000149011612")),
    (["boolean", "long"], True, ("True", "1")),
):
    read = str(by_fastavro(schema, value)), str(by_avro(schema, value))
    print(f"{', '.join(schema)}: {value}: {', '.join(read)}")
    assert read == expected, expected
PYTHON
