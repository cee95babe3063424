"""People in space, seen from the side: their skeletons over a grid of metres, beside the annotated image."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from edged.drawing.annotate import LEFT, RIGHT
from edged.drawing.labels import FONT, INK, PAPER, SCALE_360P, Colour, id_colour
from edged.frame import F64, U8, FrameResult, Pose3d, TrackedSubject
from edged.units import MM_PER_M
from engines.card.schema import SCHEMAS, Schema

BACKGROUND: Colour = (52, 46, 42)
GRID: Colour = (96, 88, 82)
TURN_DEG = 65.0  # around the vertical: 0 is the camera's own view, 90 exactly from the side
LIFT_DEG = 12.0  # how far it looks down, so that the ground is a plane and not a line
WIDTH_SHARE = 0.75  # of the image's height
MARGIN_M = 0.4


class _View(NamedTuple):
    """An orthographic camera."""

    turn: F64  # (2, 3) m in the room to m in the view, x right and y down
    scale: float  # px per m
    shift: F64  # (2,) px

    def pixels(self, points_m: F64) -> F64:
        """(N, 2) px of points (N, 3) in m."""
        return np.asarray(points_m @ self.turn.T * self.scale + self.shift)


def beside(picture: U8, result: FrameResult) -> U8:
    """The picture, (H, W, 3) uint8 BGR, with the people of the result in space to its right; always as wide."""
    height = picture.shape[0]
    return np.concatenate([picture, side_view(result, (round(WIDTH_SHARE * height), height))], axis=1)


def side_size(size_wh: tuple[int, int]) -> tuple[int, int]:
    """Width and height of what `beside` makes of a picture of that size."""
    return size_wh[0] + round(WIDTH_SHARE * size_wh[1]), size_wh[1]


def side_view(result: FrameResult, size_wh: tuple[int, int]) -> U8:
    """(H, W, 3) uint8 BGR: people from the side, a grid of metres below them; says so where nobody is in space."""
    width, height = size_wh
    canvas: U8 = np.full((height, width, 3), BACKGROUND, np.uint8)
    people = [(subject, pose) for subject in result.subjects if (pose := subject.smoothed3d or subject.pose3d)]
    if not people:
        _write(canvas, "nobody in space", (10, height // 2))
        return canvas
    rooms = [pose.upright_mm.astype(np.float64) / MM_PER_M for _, pose in people]
    joints = np.concatenate(rooms)
    corners = _ground(joints)
    view = _fitted(np.concatenate([joints, corners]), size_wh)
    _draw_ground(canvas, view, corners)
    for (subject, pose), room in sorted(zip(people, rooms, strict=True), key=_farthest_first):
        _skeleton(canvas, view.pixels(room), pose, subject)
    given = all(pose.focal_source == "given" for _, pose in people)
    _write(canvas, "from the side" if given else "from the side; metres by guess", (10, height - 10))
    return canvas


def _farthest_first(one: tuple[tuple[TrackedSubject, Pose3d], F64]) -> float:
    return float(one[1][0, 0])  # the view looks from the camera's right to its left


def _fitted(points_m: F64, size_wh: tuple[int, int]) -> _View:
    """The view that holds all points (N, 3)."""
    turn, lift = np.radians(TURN_DEG), np.radians(LIFT_DEG)
    across, away = np.array([np.cos(turn), 0, np.sin(turn)]), np.array([-np.sin(turn), 0, np.cos(turn)])
    axes = np.stack([across, np.cos(lift) * np.array([0, 1, 0]) - np.sin(lift) * away])
    seen = points_m @ axes.T
    low, high = seen.min(axis=0) - MARGIN_M, seen.max(axis=0) + MARGIN_M
    scale = float((np.array(size_wh) / (high - low)).min())
    return _View(axes, scale, np.array(size_wh) / 2 - (low + high) / 2 * scale)


def _ground(joints_m: F64) -> F64:
    """The corners (4, 3) of whole metres below the people, at their lowest joint: near left, near right, far left, …"""
    (x0, _, z0), (x1, floor, z1) = joints_m.min(axis=0), joints_m.max(axis=0)
    xs, zs = ((np.floor(low), max(np.ceil(high), np.floor(low) + 2)) for low, high in ((x0, x1), (z0, z1)))
    return np.array([(x, floor, z) for z in zs for x in xs])


def _draw_ground(canvas: U8, view: _View, corners_m: F64) -> None:
    """Lines every metre, and how far from the camera they are."""
    (x0, floor, z0), (x1, _, z1) = corners_m[0], corners_m[-1]
    for x in np.arange(x0, x1 + 1):
        _line(canvas, view.pixels(np.array([(x, floor, z0), (x, floor, z1)])), GRID, 1)
    for z in np.arange(z0, z1 + 1):
        ends = view.pixels(np.array([(x0, floor, z), (x1, floor, z)]))
        _line(canvas, ends, GRID, 1)
        x_px, y_px = np.rint(ends[1]).astype(int).tolist()
        _write(canvas, f"{z:.0f} m", (x_px - 8, y_px + 14))


def _skeleton(canvas: U8, root_and_joints: F64, pose: Pose3d, subject: TrackedSubject) -> None:
    schema, joints = SCHEMAS[pose.schema], root_and_joints[1:]
    width_px = max(2, round(canvas.shape[0] / 180))
    for a, b in schema.edges:
        _line(canvas, joints[[a, b]], INK, width_px + 2)
        _line(canvas, joints[[a, b]], _side(schema, a, b), width_px)
    top = joints[joints[:, 1].argmin()]
    _write(canvas, f"#{subject.id}", (round(float(top[0])) - 8, round(float(top[1])) - 8), id_colour(subject))


def _side(schema: Schema, a: int, b: int) -> Colour:
    """Of the limb's far end: the pelvis and the neck belong to no side."""
    sides = {schema.keypoints[i].split("_")[0] for i in (a, b)}
    return LEFT if "left" in sides else RIGHT if "right" in sides else PAPER


def _line(canvas: U8, ends: F64, colour: Colour, width_px: int) -> None:
    bound = 4 * max(canvas.shape[:2])  # cv2 takes 32-bit coordinates
    (x0, y0), (x1, y1) = np.clip(np.rint(ends), -bound, bound).astype(int).tolist()
    cv2.line(canvas, (x0, y0), (x1, y1), colour, width_px, cv2.LINE_AA)


def _write(canvas: U8, text: str, at: tuple[int, ...], colour: Colour = PAPER) -> None:
    scale = SCALE_360P * max(1.0, canvas.shape[0] / 360) ** 0.8
    cv2.putText(canvas, text, (at[0], at[1]), FONT, scale, colour, max(1, round(scale * 1.4)), cv2.LINE_AA)
