"""Whether a camera still looks where it looked, through a clean pane: a small picture now and then, against before.

Upstream: frames, on the compute thread, one every ten seconds. Downstream: what is wrong with the view, by name.
The picture that is compared is the median of the last minutes, where nobody stood: who walks through moves nothing.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from edged.frame import F32, Frame, FrameResult

SAMPLE_PERIOD_S = 10.0
THUMBNAIL_WH = (64, 36)  # of the small picture
MAX_THUMBNAILS, MIN_THUMBNAILS = 18, 6  # small pictures: three minutes; a minute before anything is said
MAX_SHIFT = 4  # small pixels that are tried in each direction: a sixteenth of the picture's width
MIN_SHIFT = 2  # from so many on it has moved
MIN_CORRELATION = 0.35  # of the edges with those before: less, and not even moved, is another view or another light
MIN_GAIN = 0.15  # a shifted view must fit so much better than one that stands
TILES = (6, 8)  # rows and columns
LOST_DETAIL, MAX_DIRTY_TILES = (
    0.3,
    0.8,
)  # share of a tile's detail that is left where the pane is dirty; share of tiles: it is dark
MIN_DIRTY_TILES = 0.12  # share of the tiles with detail, from which on the pane is dirty
MIN_DETAIL = 3.0  # grey levels per small pixel that a tile must have had


@dataclass(slots=True)
class ViewMonitor:
    """One camera. `before` is the view it should have: the first one that it had."""

    reference: F32 | None = None
    _thumbnails: deque[F32] = field(default_factory=lambda: deque(maxlen=MAX_THUMBNAILS))
    _last_sample_s: float = float("-inf")

    def due(self, t_s: float) -> bool:
        return t_s - self._last_sample_s >= SAMPLE_PERIOD_S

    def add_frame(self, t_s: float, frame: Frame, result: FrameResult) -> None:
        self._last_sample_s = t_s
        small = thumbnail(frame)
        width, height = result.size_wh
        for subject in result.subjects:
            x0, y0, x1, y1 = (float(one) for one in subject.xyxy)
            left, right = (int(x / width * THUMBNAIL_WH[0]) for x in (x0, x1))
            top, bottom = (int(y / height * THUMBNAIL_WH[1]) for y in (y0, y1))
            small[max(top, 0) : bottom + 1, max(left, 0) : right + 1] = np.nan
        self._thumbnails.append(small)

    def check(self) -> str | None:
        """What has happened to the view; None while it is the same, or there is too little to say."""
        now = self.median_view()
        if now is None:
            return None
        if self.reference is None:
            self.reference = now
        return compare_views(self.reference, now)

    def median_view(self) -> F32 | None:
        """What is seen where nobody stands; None until there is enough of it."""
        small = list(self._thumbnails)  # another thread adds to them
        if len(small) < MIN_THUMBNAILS:
            return None
        stack = np.stack(small)
        known = np.count_nonzero(~np.isnan(stack), axis=0) >= MIN_THUMBNAILS // 2
        filled = np.where(np.isnan(stack), np.inf, stack)  # sorts behind all that was seen
        middle = np.take_along_axis(np.sort(filled, axis=0), (np.isfinite(filled).sum(axis=0) // 2)[None], axis=0)[0]
        return np.where(known, middle, np.nan).astype(np.float32)


def thumbnail(frame: Frame) -> F32:
    """(36, 64) grey levels, the mean of some pixels of each block; NaN for an image that is smaller than that."""
    width, height = frame.size_wh
    columns, rows = width // THUMBNAIL_WH[0], height // THUMBNAIL_WH[1]
    if not rows or not columns:
        return np.full(THUMBNAIL_WH[::-1], np.nan, np.float32)
    image = (
        frame.image[:height]
        if frame.pixel_format == "nv12"
        else frame.image[..., :1]
        if frame.pixel_format == "yuyv"
        else frame.image
    )
    block = image[: rows * THUMBNAIL_WH[1], : columns * THUMBNAIL_WH[0]].reshape(
        THUMBNAIL_WH[1], rows, THUMBNAIL_WH[0], columns, -1
    )
    step = max(1, min(rows, columns) // 4)
    return np.asarray(block[:, ::step, :, ::step].mean(axis=(1, 3, 4)), np.float32)


def compare_views(reference: F32, now: F32) -> str | None:
    """What has happened to a view (36, 64), NaN where unknown; None when it is the same, or nobody can tell."""
    edges = _edges(reference), _edges(now)
    stands = _correlation(*edges, 0, 0)
    best, by = max((_correlation(*edges, dx, dy), max(abs(dx), abs(dy))) for dx in _SHIFTS for dy in _SHIFTS)
    if by >= MIN_SHIFT and best > MIN_CORRELATION and best > stands + MIN_GAIN:
        return "moved"
    return "dirty" if _is_dirty(*edges) else None


_SHIFTS = range(-MAX_SHIFT, MAX_SHIFT + 1)


def _edges(view: F32) -> F32:
    """(2, 35, 63) differences of neighbours across and down."""
    return np.stack([np.diff(view, axis=1)[:-1], np.diff(view, axis=0)[:, :-1]])


def _correlation(reference: F32, now: F32, dx: int, dy: int) -> float:
    """Correlation of the edges, the present view moved by so many small pixels."""
    height, width = reference.shape[1:]
    a = reference[:, max(dy, 0) : height + min(dy, 0), max(dx, 0) : width + min(dx, 0)]
    b = now[:, max(-dy, 0) : height + min(-dy, 0), max(-dx, 0) : width + min(-dx, 0)]
    both = ~(np.isnan(a) | np.isnan(b))
    a, b = np.where(both, a, 0), np.where(both, b, 0)
    return float((a * b).sum() / max(float(np.sqrt((a * a).sum() * (b * b).sum())), 1e-6))


def _is_dirty(reference: F32, now: F32) -> bool:
    """Tiles that had detail and have none, while others keep theirs: a pane, not the light."""
    had, has = _tile_detail(reference), _tile_detail(now)
    told = (had > MIN_DETAIL) & ~np.isnan(has)
    if np.count_nonzero(told) < np.prod(TILES) / 4:
        return False
    left = has[told] / had[told]
    usual = float(np.median(left[left > LOST_DETAIL])) if (left > LOST_DETAIL).any() else 0.0
    share = float(np.mean(left < LOST_DETAIL * max(usual, LOST_DETAIL)))
    return MIN_DIRTY_TILES <= share <= MAX_DIRTY_TILES


def _tile_detail(edges: F32) -> F32:
    """(6, 8) mean size of an edge in each tile; NaN where most of it is unknown."""
    rows, columns = edges.shape[1] // TILES[0], edges.shape[2] // TILES[1]
    size = np.hypot(edges[0], edges[1])[: rows * TILES[0], : columns * TILES[1]]
    tiles = size.reshape(TILES[0], rows, TILES[1], columns).transpose(0, 2, 1, 3).reshape(*TILES, -1)
    known = ~np.isnan(tiles)
    count = known.sum(axis=-1)
    mean = np.where(known, tiles, 0).sum(axis=-1) / np.maximum(count, 1)
    return np.asarray(np.where(2 * count >= tiles.shape[-1], mean, np.nan), np.float32)
