#!/bin/sh
# datumaro 1.13.12: a pose (Points with visibility) that has no box in its group is not written to COCO keypoints; the
# file has the image, the category with its joints and no annotation, and nothing is logged. With a box it is complete.
# In CVAT XML the pose is written, and the visibility is not: a joint that is not labelled (0) and stands at (0, 0)
# comes back as one that is seen there, and the box around the pose reaches to the corner of the image. Its own format
# keeps all.
#
# Seen (joints 10 20 (seen), 50 60 (hidden), 0 0 (not labelled); poses read, their visibility, and x0 y0 of their box):
#   datumaro, pose alone: 1, [2, 1, 0], 10 20
#   coco_person_keypoints, pose alone: 0
#   coco_person_keypoints, pose and box: 1, [2, 1, 0], 10 20
#   cvat, pose and box: 1, [2, 2, 2], 0 0
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check datumaro==1.13.12
cd "$folder"
venv/bin/python -W ignore - <<'PYTHON' 2>notes || { cat notes; exit 1; }
import numpy
from datumaro import Dataset, DatasetItem
from datumaro.components.annotation import AnnotationType, Bbox, LabelCategories, Points, PointsCategories
from datumaro.components.media import Image

KINDS = {
    AnnotationType.label: LabelCategories.from_iterable(["horse"]),
    AnnotationType.points: PointsCategories.from_iterable([(0, ["nose", "withers", "tail"], [(1, 2), (2, 3)])]),
}
pose = Points([10, 20, 50, 60, 0, 0], visibility=[2, 1, 0], label=0, id=1, group=1)
box = Bbox(5, 10, 100, 60, label=0, id=1, group=1)

for number, (kind, what, annotations, wanted) in enumerate((
    ("datumaro", "pose alone", [pose], "1, [2, 1, 0], 10 20"),
    ("coco_person_keypoints", "pose alone", [pose], "0"),
    ("coco_person_keypoints", "pose and box", [pose, box], "1, [2, 1, 0], 10 20"),
    ("cvat", "pose and box", [pose, box], "1, [2, 2, 2], 0 0"),
)):
    media = Image.from_numpy(numpy.zeros((100, 200, 3), numpy.uint8))
    item = DatasetItem(id="stall", subset="train", media=media, annotations=annotations)
    Dataset.from_iterable([item], categories=KINDS).export(f"set{number}", kind, save_media=True)
    [read] = Dataset.import_from(f"set{number}", "coco" if kind.startswith("coco") else kind)
    poses = [one for one in read.annotations if isinstance(one, Points)]
    found = str(len(poses))
    for one in poses:
        x, y = one.get_bbox()[:2]
        found += f", {[int(value) for value in one.visibility]}, {x:g} {y:g}"
    print(f"{kind}, {what}: {found}")
    assert found == wanted, found
PYTHON
! grep --ignore-case "skip\|warn\|keypoint" notes
