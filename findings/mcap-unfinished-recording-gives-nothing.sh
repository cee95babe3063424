#!/bin/sh
# mcap 1.6.0: a recording whose writer was not closed (power cut, full disk) has no index. The reader for what cannot be sought,
# which make_reader takes for a pipe or a socket, goes through it from the front and yet gives none of its messages: it
# collects all of them to sort them by time, meets the end, and raises EndOfFile with everything in hand. Writing in chunks
# does not help. With log_time_order=False the same reader gives every message that was written, and then raises. The reader for
# files says "record has length ... that exceeds limit" of the same file, as if it were damaged.
#
# Seen (20 messages in chunks of three, the last one still in memory, not closed; how many come before the error):
#   by time, as by default: 0, EndOfFile
#   log_time_order=False: 19, EndOfFile
#   of a file that can be sought: 0, RecordLengthLimitExceeded
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check mcap==1.6.0
"$folder/venv/bin/python" - <<'PYTHON'
import io

from mcap.exceptions import EndOfFile, McapError
from mcap.reader import make_reader
from mcap.writer import Writer


class Pipe(io.BytesIO):
    """Read from the front only."""

    def seekable(self) -> bool:
        return False


file = io.BytesIO()
writer = Writer(file, chunk_size=100)
writer.start()
schema = writer.register_schema("pose", "jsonschema", b"{}")
channel = writer.register_channel("poses", "json", schema)
for number in range(20):
    writer.add_message(channel, log_time=number, publish_time=number, data=b'{"subjects": []}')
for name, source, options, expected in (
    ("by time, as by default", Pipe, {}, (0, "EndOfFile")),
    ("log_time_order=False", Pipe, {"log_time_order": False}, (19, "EndOfFile")),
    ("of a file that can be sought", io.BytesIO, {}, (0, "RecordLengthLimitExceeded")),
):
    count, error = 0, None
    try:
        for _ in make_reader(source(file.getvalue())).iter_messages(**options):
            count += 1
    except (EndOfFile, McapError) as caught:
        error = type(caught).__name__
    print(f"{name}: {count}, {error}")
    assert (count, error) == expected, expected
PYTHON
