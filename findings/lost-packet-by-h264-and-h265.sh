#!/bin/sh
# PyAV 18.1.0 (FFmpeg 8.1): one packet of a camera's stream is lost, as over UDP. H.264 and H.265 do the opposite, and neither
# says a word. In H.264 all pictures up to the next key frame come, moved and smeared, with `is_corrupt` False, also where
# the lost one was the key frame, also with err_detect=explode. In H.265 no picture comes until then, without an error: a
# camera with a key frame each 4 s, as is usual, is dark for 4 s. There flags2=+showall brings them, and then `is_corrupt`
# is True. A rule "drop what is_corrupt" drops none of them as things are by default.
#
# Seen (60 pictures, a key frame each 20th; packet 25 or key frame 20 left out; pictures, wrong ones, marked is_corrupt):
#   H.264, packet 25: 59, 14 wrong, 0 marked
#   H.264, packet 25, err_detect=explode: 59, 14 wrong, 0 marked
#   H.264, key frame 20: 57, 17 wrong, 0 marked
#   H.264, packet 25, showall: 59, 14 wrong, 0 marked
#   H.265, packet 25: 45, 0 wrong, 0 marked
#   H.265, key frame 20: 40, 0 wrong, 0 marked
#   H.265, packet 25, showall: 59, 14 wrong, 14 marked
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.6
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import sys

import av
import numpy as np

path = f"{sys.argv[1]}/clip.mkv"
y, x = np.mgrid[:96, :600]
scene = (128 + 60 * np.sin(x / 7 + y / 11) + 50 * np.sin(y / 5 - x / 13)).astype(np.uint8)
H265 = {"x265-params": "bframes=0:keyint=20:scenecut=0:log-level=none"}


def packets(encoder: str, options: dict[str, str]) -> tuple[list[bytes], bytes]:
    """60 pictures of a scene that moves by four pixels each, in one packet each, and the decoder's parameters."""
    with av.open(path, "w") as container:
        stream = container.add_stream(encoder, rate=10)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size, stream.options = 160, 96, "yuv420p", 20, options
        for number in range(60):
            part = np.ascontiguousarray(scene[:, 4 * number : 4 * number + 160])
            frame = av.VideoFrame.from_ndarray(np.dstack([part] * 3), "rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with av.open(path) as container:
        stream = container.streams.video[0]
        return [bytes(packet) for packet in container.demux(stream) if packet.size], stream.codec_context.extradata


def decoded(decoder: str, encoded: list[bytes], parameters: bytes, lost: int | None, options: dict[str, str]) -> list:
    context = av.CodecContext.create(decoder, "r")
    context.extradata, context.thread_count, context.options = parameters, 1, options
    frames = []
    for number, part in enumerate(encoded):
        if number != lost:
            packet = av.Packet(part)
            packet.pts = number
            frames += context.decode(packet)
    return frames + context.decode(None)


def grey(frame: av.VideoFrame) -> np.ndarray:
    return frame.to_ndarray(format="gray").astype(int)


seen = []
for name, encoder, decoder, options in (("H.264", "libx264", "h264", {"bf": "0"}), ("H.265", "libx265", "hevc", H265)):
    encoded, parameters = packets(encoder, options)
    right = [grey(frame) for frame in decoded(decoder, encoded, parameters, None, {})]
    assert len(right) == 60
    for what, lost, how in (
        ("packet 25", 25, {}),
        ("packet 25, err_detect=explode", 25, {"err_detect": "explode"}),
        ("key frame 20", 20, {}),
        ("packet 25, showall", 25, {"flags2": "+showall"}),
    ):
        if name == "H.265" and "explode" in what:
            continue  # there it raises InvalidDataError for each packet up to the next key frame
        frames = decoded(decoder, encoded, parameters, lost, how)
        wrong = sum(np.abs(grey(frame) - right[frame.pts]).mean() > 1 for frame in frames)
        marked = sum(frame.is_corrupt for frame in frames)
        seen.append((len(frames), wrong, marked))
        print(f"{name}, {what}: {len(frames)}, {wrong} wrong, {marked} marked")
assert seen == [(59, 14, 0), (59, 14, 0), (57, 17, 0), (59, 14, 0), (45, 0, 0), (40, 0, 0), (59, 14, 14)], seen
PYTHON
