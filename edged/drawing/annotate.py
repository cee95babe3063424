"""Results drawn into images: boxes, labels, skeletons, and a banner when the image is degraded.

What the colours mean is said in LEGEND. Lines and letters grow with the image.
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from edged.drawing.labels import INK, PAPER, Colour, draw_labels, draw_strip, id_colour
from edged.frame import F32, SCORE, U8, X0, X1, Y0, Y1, FrameResult, ImageQuality, TrackedSubject
from engines.card.schema import SCHEMAS, Schema

LEGEND = "orange: its right side, blue: its left; faint: not sure; dashed: not detected in this frame, but tracked"

LEFT: Colour = (255, 178, 66)
RIGHT: Colour = (40, 130, 255)
ALARM: Colour = (40, 40, 190)

UNSURE_OPACITY = 0.35  # of keypoints below the threshold
DEFAULT_KEYPOINT_THRESHOLD = 0.3  # keypoint score, for schemas without a card


def annotate(
    image: U8, result: FrameResult, keypoint_thresholds: Mapping[str, float] | None = None, caption: str = ""
) -> U8:
    """A copy of the image, (H, W, 3) uint8 BGR, with the result drawn in; keypoints are smoothed where available.

    `keypoint_thresholds`: the cards' least score of a keypoint that counts as seen, by schema name. `caption`: a line
    along the lower edge.
    """
    limits = keypoint_thresholds or {}
    canvas: U8 = image.copy()
    faint = canvas.copy()
    for subject in result.subjects:
        _skeleton(faint, subject, limits, sure=False)
    cv2.addWeighted(faint, UNSURE_OPACITY, canvas, 1 - UNSURE_OPACITY, 0, dst=canvas)
    for subject in result.subjects:
        _box(canvas, subject)
        _skeleton(canvas, subject, limits, sure=True)
    draw_labels(canvas, result.subjects)
    if result.quality.degraded:
        _banner(canvas, result.quality)
    if caption:
        draw_strip(canvas, caption, INK, at_bottom=True)
    return canvas


def _unit_px(image: U8) -> int:
    """The width of a line in px: 1 at 360p, 3 at 1080p, 6 at 4K."""
    height, width = image.shape[:2]
    return max(1, round(float(min(height, width)) / 360))


def _skeleton(canvas: U8, subject: TrackedSubject, limits: Mapping[str, float], *, sure: bool) -> None:
    """Draw the limbs with both ends above the threshold (`sure`) or the other ones; the same for keypoints."""
    keypoints = subject.smoothed if subject.smoothed is not None else subject.keypoints
    if keypoints is None or subject.schema is None:
        return
    schema = SCHEMAS[subject.schema]
    seen = np.isfinite(keypoints).all(axis=1) & (keypoints[:, SCORE] > 0)
    clear = seen & (keypoints[:, SCORE] >= limits.get(schema.name, DEFAULT_KEYPOINT_THRESHOLD))
    width_px = _limb_px(canvas, subject)
    for a, b in schema.edges:
        if seen[a] and seen[b] and (clear[a] and clear[b]) == sure:
            _line(canvas, _at(keypoints[a], canvas), _at(keypoints[b], canvas), _side(schema, a, b), width_px)
    for k in np.flatnonzero(clear if sure else seen & ~clear).tolist():
        _dot(canvas, _at(keypoints[k], canvas), _side(schema, k, k), width_px)


def _limb_px(canvas: U8, subject: TrackedSubject) -> int:
    """The width of a limb in px; thinner on small subjects, so that they stay visible."""
    size_px = float(np.sqrt(max(0.0, np.prod(subject.xyxy[[X1, Y1]] - subject.xyxy[[X0, Y0]]))))
    return int(min(max(size_px / 70, 1), 1.5 * _unit_px(canvas)))


def _side(schema: Schema, a: int, b: int) -> Colour:
    sides = {schema.keypoints[i].split("_")[0] for i in (a, b)}
    return LEFT if sides == {"left"} else RIGHT if sides == {"right"} else PAPER


def _at(point: F32, canvas: U8) -> tuple[int, int]:
    """The point in whole px, at most one image size outside: cv2 takes 32-bit coordinates."""
    height, width = canvas.shape[:2]
    return int(np.clip(point[0], -width, 2 * width)), int(np.clip(point[1], -height, 2 * height))


def _line(canvas: U8, a: tuple[int, int], b: tuple[int, int], colour: Colour, width_px: int) -> None:
    cv2.line(canvas, a, b, INK, width_px + 2, cv2.LINE_AA)
    cv2.line(canvas, a, b, colour, width_px, cv2.LINE_AA)


def _dot(canvas: U8, at: tuple[int, int], colour: Colour, width_px: int) -> None:
    cv2.circle(canvas, at, round(1.4 * width_px) + 2, INK, cv2.FILLED, cv2.LINE_AA)
    cv2.circle(canvas, at, round(1.4 * width_px) + 1, colour, cv2.FILLED, cv2.LINE_AA)


def _box(canvas: U8, subject: TrackedSubject) -> None:
    """A thin frame in the id's colour; dashed when the box was not detected in this frame."""
    x0, y0, x1, y1 = (*_at(subject.xyxy[[X0, Y0]], canvas), *_at(subject.xyxy[[X1, Y1]], canvas))
    corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    width_px, colour = _unit_px(canvas), id_colour(subject)
    for a, b in zip(corners, corners[1:] + corners[:1], strict=True):
        for start, end in _dashes(a, b, 8 * width_px) if subject.box_source != "detected" else [(a, b)]:
            cv2.line(canvas, start, end, colour, width_px, cv2.LINE_AA)


def _dashes(a: tuple[int, int], b: tuple[int, int], length_px: int) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Every other piece of the line from a to b."""
    pieces = max(1, int(np.hypot(b[0] - a[0], b[1] - a[1]) / length_px)) | 1  # odd, so that both ends are drawn
    stops = np.linspace(a, b, pieces + 1).round().astype(int).tolist()
    return [((x0, y0), (x1, y1)) for (x0, y0), (x1, y1) in zip(stops[:-1:2], stops[1::2], strict=True)]


def _banner(canvas: U8, quality: ImageQuality) -> None:
    """Draw a red strip along the upper edge: why the image is degraded, with the figures."""
    figures = f"light {quality.brightness:.0f}, contrast {quality.contrast:.0f}, sharpness {quality.sharpness:.3f}"
    draw_strip(canvas, f"IMAGE {', '.join(quality.degraded).upper()}   {figures}", ALARM, at_bottom=False)
