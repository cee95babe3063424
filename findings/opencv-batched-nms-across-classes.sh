#!/bin/sh
# OpenCV 5.0.0.93 and 4.12.0.88, dnn.NMSBoxesBatched: boxes of different classes shall not suppress each other. Each
# class is moved by the largest coordinate of all boxes plus 1, and then all are suppressed together. That keeps classes
# apart only where no box begins below 0, and detectors give such boxes for whatever is cut by the left or upper edge. A
# dog that comes in at the upper left corner is then moved onto a horse at the lower right, and is lost: their true
# overlap is nothing, and the classes differ. NMSBoxes, once for each class, keeps both. (torchvision's batched_nms,
# from which the method is, asks for coordinates from 0 on in its documentation; OpenCV's has no such words.)
#
# Seen (x, y, width, height; horse at 340 340 300 300, score 0.9; dog of 300 x 300, score 0.8, threshold 0.5; both versions):
#   dog at 0 0: 2 left
#   dog at -150 -150: 2 left
#   dog at -250 -250: 1 left
#   dog at -250 -250, class by class: 2 left
#   dog at -250 -250, both moved by 300: 2 left
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/boxes.py" <<'PYTHON'
import cv2

HORSE = [340, 340, 300, 300]
SCORES, CLASSES = [0.9, 0.8], [0, 1]


def left(*boxes):
    return len(cv2.dnn.NMSBoxesBatched(list(boxes), SCORES, CLASSES, 0.1, 0.5))


def alone(box, score):
    return len(cv2.dnn.NMSBoxes([box], [score], 0.1, 0.5))


print(cv2.__version__)
for corner, expected in ((0, 2), (-150, 2), (-250, 1)):
    dog = [corner, corner, 300, 300]
    seen = left(HORSE, dog)
    print(f"dog at {corner} {corner}: {seen} left")
    assert seen == expected, expected
seen = alone(HORSE, 0.9) + alone(dog, 0.8)
print(f"dog at -250 -250, class by class: {seen} left")
assert seen == 2
seen = left(*([x + 300, y + 300, width, height] for x, y, width, height in (HORSE, dog)))
print(f"dog at -250 -250, both moved by 300: {seen} left")
assert seen == 2
PYTHON
for version in 5.0.0.93 4.12.0.88; do
    python3 -m venv "$folder/$version"
    "$folder/$version/bin/pip" install --quiet --disable-pip-version-check opencv-python-headless==$version
    "$folder/$version/bin/python" "$folder/boxes.py"
done
