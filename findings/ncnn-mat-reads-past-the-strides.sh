#!/bin/sh
# ncnn 1.0.20261020 from Python: Mat(array) and Mat.from_pixels(array, ...) take the shape of an array and not its strides. A
# view of numpy, whose numbers do not lie one behind the other, is read as if they did: no error, the right shape, other
# numbers. That is what the usual preparation makes: `frame[y0:y1, x0:x1]` (the crop of a subject; each row begins where
# the last one ended, so the picture is slanted) and `.transpose(2, 0, 1)` (colours become pixels). OpenCV, PyTorch and
# ONNX Runtime read all of these right. np.ascontiguousarray helps, and for a crop from_pixels_roi, or its stride.
#
# Seen (numbers at their place, of all):
#   Mat of an image, channels first by a copy: 24 of 24
#   Mat of an image, channels first by transpose: 2 of 24
#   from_pixels of a frame: 288 of 288
#   from_pixels of a crop that was copied: 36 of 36
#   from_pixels of a crop: 12 of 36
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check ncnn==1.0.20261020 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import ncnn
import numpy as np

BGR = ncnn.Mat.PixelType.PIXEL_BGR


def right(what, mat, expected):
    got = np.array(mat)
    assert got.shape == expected.shape, got.shape
    same = int((got == expected).sum())
    print(f"{what}: {same} of {expected.size}")
    return same, expected.size


image = np.arange(24, dtype=np.float32).reshape(4, 2, 3)
planes = image.transpose(2, 0, 1)
same, size = right("Mat of an image, channels first by a copy", ncnn.Mat(planes.copy()), planes)
assert same == size
same, size = right("Mat of an image, channels first by transpose", ncnn.Mat(planes), planes)
assert same == 2, same

frame = np.arange(288).astype(np.uint8).reshape(8, 12, 3)  # all bytes but 32 are different
frame.ravel()[256:] = 255 - np.arange(32)
crop = frame[:3, :4]
same, size = right("from_pixels of a frame", ncnn.Mat.from_pixels(frame, BGR, 12, 8), frame.transpose(2, 0, 1))
assert same == size
tight = crop.copy()
same, size = right("from_pixels of a crop that was copied", ncnn.Mat.from_pixels(tight, BGR, 4, 3), crop.transpose(2, 0, 1))
assert same == size
same, size = right("from_pixels of a crop", ncnn.Mat.from_pixels(crop, BGR, 4, 3), crop.transpose(2, 0, 1))
assert same == 12, same  # its first row
PYTHON
