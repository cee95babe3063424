#!/bin/sh
# pycolmap 4.2.1: a pixel of a fisheye camera that sees more than 90 degrees from its axis gets a direction far inside
# the image, and nothing tells. Up to 90 degrees x / z is the tangent of the angle; beyond it the angle itself stands
# there, in radians: 57 at 89 degrees, 1.59 at 91, which is a ray at 57.8 degrees. cam_from_img gives None or NaN where
# a pixel has no direction, and not here; cam_ray_from_img, which is there for rays that go backwards, has the same. The
# other way, img_from_cam gives None for such a ray. Lenses of 180 degrees and more, as cameras on a ceiling have, see
# these.
#
# Seen (OPENCV_FISHEYE without distortion; degrees of the pixel, of cam_from_img, of cam_ray_from_img):
#   80: 80.0, 80.0
#   89: 89.0, 89.0
#   91: 57.8, 57.8
#   100: 60.2, 60.2
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pycolmap==4.2.1 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy
import pycolmap

FOCAL, CENTRE = 450, 800
lens = [FOCAL, FOCAL, CENTRE, CENTRE, 0, 0, 0, 0]
camera = pycolmap.Camera(model="OPENCV_FISHEYE", width=2 * CENTRE, height=2 * CENTRE, params=lens)
for degrees, wanted in ((80, "80.0, 80.0"), (89, "89.0, 89.0"), (91, "57.8, 57.8"), (100, "60.2, 60.2")):
    angle = numpy.radians(degrees)
    pixel = [CENTRE + FOCAL * angle, CENTRE]
    assert pixel[0] < camera.width
    ratio, ray = camera.cam_from_img(pixel), camera.cam_ray_from_img(pixel)
    found = ", ".join(f"{numpy.degrees(value):.1f}" for value in (numpy.arctan(ratio[0]), numpy.arctan2(ray[0], ray[2])))
    print(f"{degrees}: {found}")
    assert found == wanted, found
    back = camera.img_from_cam([numpy.sin(angle), 0, numpy.cos(angle)])
    assert (back is None) == (degrees > 90), back
PYTHON
