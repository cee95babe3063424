#!/bin/sh
# sleap-io 0.9.5, save_csv and load_csv: keypoints come back in the order of the alphabet in three of its formats, also
# where the file has them in their own order ("instances", "frames"); positions and scores go with their names, but
# numpy() and all that works by index, as trackers, metrics and networks do, takes the left knee for the nose. And
# "frames" comes back with a keypoint more for each animal, named after its columns ("inst0", "inst1"), that was never
# seen. Only "points" is the same before and after. No file says anything about it, and the shapes fit, but for
# "frames".
#
# Seen (nose, left knee and right knee, two animals; names as loaded; first row of numpy() of the first one):
#   saved: nose left_knee right_knee; 10 11
#   points: nose left_knee right_knee; 10 11
#   instances: left_knee nose right_knee; 20 21
#   sleap: left_knee nose right_knee; 20 21
#   frames: inst0 inst1 left_knee nose right_knee; nan nan
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check sleap-io==0.9.5 pandas==3.1.1 numpy==2.4.6
cd "$folder"
venv/bin/python -W ignore - <<'PYTHON'
import numpy
import sleap_io

NAMES = ["nose", "left_knee", "right_knee"]
skeleton = sleap_io.Skeleton(NAMES)
place = numpy.array([[10.0, 11.0], [20.0, 21.0], [30.0, 31.0]])
animals = [
    sleap_io.PredictedInstance.from_numpy(
        place + apart, skeleton=skeleton, point_scores=numpy.ones(3), score=0.9, track=sleap_io.Track(name)
    )
    for name, apart in (("mare", 0), ("foal", 100))
]
video = sleap_io.Video(filename="stall.mp4", open_backend=False)
saved = sleap_io.Labels([sleap_io.LabeledFrame(video=video, frame_idx=0, instances=animals)])


def told(labels):
    first = labels[0].instances[0].numpy()[0]
    return f"{' '.join(labels.skeletons[0].node_names)}; {first[0]:g} {first[1]:g}"


print(f"saved: {told(saved)}")
for kind, wanted in (
    ("points", "nose left_knee right_knee; 10 11"),
    ("instances", "left_knee nose right_knee; 20 21"),
    ("sleap", "left_knee nose right_knee; 20 21"),
    ("frames", "inst0 inst1 left_knee nose right_knee; nan nan"),
):
    sleap_io.save_csv(saved, "poses.csv", format=kind)
    with open("poses.csv") as file:
        header = file.readline()
    assert kind not in ("instances", "frames") or header.index("nose") < header.index("left_knee"), header
    found = told(sleap_io.load_csv("poses.csv", format=kind))
    print(f"{kind}: {found}")
    assert found == wanted, found
PYTHON
