#!/bin/sh
# PyAV 18.1.0, wheel for Linux x86_64: the FFmpeg inside names "LGPL version 3 or later" as its licence, while it was
# configured with libx264, and its H.264 encoder is libx264, which is under the GPL-2.0-or-later. FFmpeg built by its own
# configure script would refuse that without --enable-gpl, and then call itself GPL. Who passes the wheel on, and reads
# the licence from the library, reads the wrong one.
#
# Seen:
#   licence: LGPL version 3 or later
#   --enable-gpl: False, --enable-libx264: True
#   H.264 encoder: libx264
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0
"$folder/venv/bin/python" - <<'PYTHON'
import av
from av._core import library_meta

built = library_meta["libavcodec"]
licence, flags = built["license"], built["configuration"].split()
encoder = av.codec.Codec("h264", "w").name
print("licence:", licence)
print(f"--enable-gpl: {'--enable-gpl' in flags}, --enable-libx264: {'--enable-libx264' in flags}")
print("H.264 encoder:", encoder)
assert licence.startswith("LGPL")
assert "--enable-libx264" in flags
assert encoder == "libx264"
PYTHON
