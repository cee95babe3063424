"""Results drawn into images: boxes, ids, skeletons, and a banner when the image is degraded.

The subject's left limbs are blue, its right ones orange. Keypoints below the threshold are faint; a box that was not
detected in this frame is dashed. Lines and letters grow with the image.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import cv2
import numpy as np

from edged.frame import F32, SCORE, U8, X0, X1, Y0, Y1, FrameResult, ImageQuality, TrackedSubject
from engines.card.schema import SCHEMAS, Schema

Colour = tuple[int, int, int]  # BGR
TextLayout = tuple[float, int, tuple[int, int], int]  # font scale, stroke px, width and height px, padding px

LEFT: Colour = (255, 178, 66)
RIGHT: Colour = (40, 130, 255)
MIDDLE: Colour = (235, 235, 235)
EDGE: Colour = (24, 24, 24)  # outline of every line, for contrast on any background
ALARM: Colour = (40, 40, 190)
IDS: tuple[Colour, ...] = (
    *((120, 220, 120), (235, 190, 90), (130, 160, 255), (90, 215, 235)),
    *((225, 140, 215), (200, 215, 110), (150, 190, 200), (210, 165, 165)),
)

UNSURE_OPACITY = 0.35  # of keypoints below the threshold
DEFAULT_KEYPOINT_THRESHOLD = 0.3  # keypoint score, for schemas without a card
FONT = cv2.FONT_HERSHEY_SIMPLEX
SCALE_360P = 0.42  # font scale on an image whose shorter side is 360 px


def annotate(image: U8, result: FrameResult, keypoint_thresholds: Mapping[str, float] | None = None) -> U8:
    """A copy of the image, (H, W, 3) uint8 BGR, with the result drawn in; keypoints are smoothed where available.

    `keypoint_thresholds`: the cards' least score of a keypoint that counts as seen, by schema name.
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
    for subject in result.subjects:
        _label(canvas, subject)
    if result.quality.degraded:
        _banner(canvas, result.quality)
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
    return LEFT if sides == {"left"} else RIGHT if sides == {"right"} else MIDDLE


def _at(point: F32, canvas: U8) -> tuple[int, int]:
    """The point in whole px, at most one image size outside: cv2 takes 32-bit coordinates."""
    height, width = canvas.shape[:2]
    return int(np.clip(point[0], -width, 2 * width)), int(np.clip(point[1], -height, 2 * height))


def _line(canvas: U8, a: tuple[int, int], b: tuple[int, int], colour: Colour, width_px: int) -> None:
    cv2.line(canvas, a, b, EDGE, width_px + 2, cv2.LINE_AA)
    cv2.line(canvas, a, b, colour, width_px, cv2.LINE_AA)


def _dot(canvas: U8, at: tuple[int, int], colour: Colour, width_px: int) -> None:
    cv2.circle(canvas, at, round(1.4 * width_px) + 2, EDGE, cv2.FILLED, cv2.LINE_AA)
    cv2.circle(canvas, at, round(1.4 * width_px) + 1, colour, cv2.FILLED, cv2.LINE_AA)


def _box(canvas: U8, subject: TrackedSubject) -> None:
    """A thin frame in the id's colour; dashed when the box was not detected in this frame."""
    x0, y0, x1, y1 = (*_at(subject.xyxy[[X0, Y0]], canvas), *_at(subject.xyxy[[X1, Y1]], canvas))
    corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    width_px, colour = _unit_px(canvas), _id_colour(subject)
    for a, b in zip(corners, corners[1:] + corners[:1], strict=True):
        for start, end in _dashes(a, b, 8 * width_px) if subject.box_source != "detected" else [(a, b)]:
            cv2.line(canvas, start, end, colour, width_px, cv2.LINE_AA)


def _dashes(a: tuple[int, int], b: tuple[int, int], length_px: int) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Every other piece of the line from a to b."""
    pieces = max(1, int(np.hypot(b[0] - a[0], b[1] - a[1]) / length_px)) | 1  # odd, so that both ends are drawn
    stops = np.linspace(a, b, pieces + 1).round().astype(int).tolist()
    return [((x0, y0), (x1, y1)) for (x0, y0), (x1, y1) in zip(stops[:-1:2], stops[1::2], strict=True)]


def _id_colour(subject: TrackedSubject) -> Colour:
    return IDS[subject.id % len(IDS)]


def _label(canvas: U8, subject: TrackedSubject) -> None:
    """Write id, class and score on a plate above the box; inside it at the image's upper edge."""
    x0, y = _at(subject.xyxy[[X0, Y0]], canvas)
    text, (scale, stroke_px, (width, height), pad) = _caption(canvas, subject)
    x = int(np.clip(x0, 0, max(0, canvas.shape[1] - width - 2 * pad)))
    y = y if y >= height + 2 * pad else max(y, 0) + height + 2 * pad
    cv2.rectangle(canvas, (x, y - height - 2 * pad), (x + width + 2 * pad, y), _id_colour(subject), cv2.FILLED)
    cv2.putText(canvas, text, (x + pad, y - pad), FONT, scale, EDGE, stroke_px, cv2.LINE_AA)


def _caption(canvas: U8, subject: TrackedSubject) -> tuple[str, TextLayout]:
    """As much text as fits the box, so that captions in a crowd do not overlap; at least the id."""
    words = [str(subject.id), subject.label, f"{subject.score:.2f}"]
    room = 1.2 * float(subject.xyxy[X1] - subject.xyxy[X0])
    for n in (3, 2):
        text = " ".join(words[:n])
        lettering = _text_layout(canvas, text)
        if lettering[2][0] <= room:
            return text, lettering
    return words[0], _text_layout(canvas, words[0])


def _banner(canvas: U8, quality: ImageQuality) -> None:
    """Draw a red strip along the upper edge: why the image is degraded, with the figures."""
    figures = f"light {quality.brightness:.0f}, contrast {quality.contrast:.0f}, sharpness {quality.sharpness:.3f}"
    text = f"IMAGE {', '.join(quality.degraded).upper()}   {figures}"
    scale, stroke_px, (_, height), pad = _text_layout(canvas, text)
    strip = canvas[: height + 4 * pad]
    strip[:] = cv2.addWeighted(strip, 0.25, np.full_like(strip, ALARM), 0.75, 0)
    cv2.putText(canvas, text, (2 * pad, height + 2 * pad), FONT, scale, MIDDLE, stroke_px, cv2.LINE_AA)


def _text_layout(canvas: U8, text: str) -> TextLayout:
    """Font scale and size of a line of text; smaller where it would not fit the image."""
    scale = SCALE_360P * max(1.0, min(canvas.shape[:2]) / 360) ** 0.8
    stroke_px, pad = max(1, round(scale * 1.4)), round(8 * scale)
    (width, height), _ = cv2.getTextSize(text, FONT, scale, stroke_px)
    room = canvas.shape[1] - 4 * pad
    if width > room > 0:
        scale *= room / width
        stroke_px = max(1, round(scale * 1.4))
        (width, height), _ = cv2.getTextSize(text, FONT, scale, stroke_px)
    return scale, stroke_px, cast("tuple[int, int]", (width, height)), pad
