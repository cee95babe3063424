#!/bin/sh
# zeep 4.3.3: a value in an answer that its parser cannot take becomes None, as if the element had not been there, with an
# entry in the log and no exception. Midnight at the end of a day, which XML Schema allows as 24:00:00 (in dateTime and in
# time), is such a value: a schedule of a camera that ends then has no end.
#
# Seen (the element, and what zeep makes of it):
#   2026-11-30T23:59:59Z: 2026-11-30 23:59:59+00:00
#   2026-11-30T24:00:00Z: None
#   24:00:00: None
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check zeep==4.3.3 isodate==0.7.2
"$folder/venv/bin/python" - <<'PYTHON'
import logging

from lxml import etree
from zeep.xsd.schema import Schema

logging.disable(logging.CRITICAL)
SCHEMA = """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:find" elementFormDefault="qualified">
<xs:element name="Span"><xs:complexType><xs:sequence>
<xs:element name="End" type="xs:dateTime" minOccurs="0"/>
<xs:element name="Daily" type="xs:time" minOccurs="0"/>
</xs:sequence></xs:complexType></xs:element></xs:schema>"""
schema = Schema(etree.fromstring(SCHEMA))
span, seen = schema.get_element("{urn:find}Span"), []
for name, text in (
    ("End", "2026-11-30T23:59:59Z"),
    ("End", "2026-11-30T24:00:00Z"),
    ("Daily", "24:00:00"),
):
    answer = etree.fromstring(f'<Span xmlns="urn:find"><{name}>{text}</{name}></Span>')
    seen.append(span.parse(answer, schema)[name])
    print(f"{text}: {seen[-1]}")
assert seen[1:] == [None, None], seen
assert seen[0] is not None and seen[0].hour == 23
PYTHON
