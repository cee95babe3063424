"""Whether a camera over a stall still has the view in which the stall was drawn, through a clean lens.

Upstream: the loop, as a sink; one frame every ten seconds becomes a thumbnail. Downstream: `SceneMonitor`. Compared is
the median of the last minutes without the subjects, so that a passing horse changes nothing. The reference view
survives restarts; a stall that is drawn anew gets a new one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edged.behaviour.types import ViewChange
from edged.config.tables.stall import StallConfig
from edged.frame import F32, Frame, FrameResult
from edged.runtime.json_state import JsonState
from edged.units import NS_PER_S, ns

FILE, CONTENT = "views.json", "the cameras' views"
SAMPLE_PERIOD_S = 10.0  # between two thumbnails of a camera
THUMBNAIL_WH = (64, 36)  # px

# Tuned by hand on rendered views; not tried on a camera that changes to infrared at night.
MAX_THUMBNAILS, MIN_THUMBNAILS = 18, 6  # three minutes; one minute before anything is compared
MAX_SHIFT = 4  # thumbnail px tried in each direction: a sixteenth of the image's width
MIN_SHIFT = 2  # thumbnail px from which on the camera has moved
MIN_CORRELATION = 0.35  # of the edges, shifted; less is another view, or another light
MIN_GAIN = 0.15  # by which a shifted view must correlate better than an unshifted one
TILES = (6, 8)  # rows, columns
MIN_DETAIL = 3.0  # grey levels per thumbnail px that a tile must have had
LOST_DETAIL = 0.3  # share of a tile's detail that is left under dirt
MIN_DIRTY_TILES, MAX_DIRTY_TILES = 0.12, 0.8  # share of the tiles with detail; more: it is dark
SHIFTS = range(-MAX_SHIFT, MAX_SHIFT + 1)


@dataclass(slots=True)
class ViewMonitor:
    """One camera. `add_frame` belongs to the compute thread, the rest to the behaviour thread."""

    reference: F32 | None = None  # (36, 64) grey levels; NaN: unknown. The first view of this drawing
    _thumbnails: deque[F32] = field(default_factory=lambda: deque(maxlen=MAX_THUMBNAILS))
    _last_sample_s: float = float("-inf")

    def due(self, t_s: float) -> bool:
        return t_s - self._last_sample_s >= SAMPLE_PERIOD_S

    def add_frame(self, t_s: float, frame: Frame, result: FrameResult) -> None:
        """Keep the frame's thumbnail, without the subjects."""
        self._last_sample_s = t_s
        small = thumbnail(frame)
        width, height = result.size_wh
        for subject in result.subjects:
            x0, y0, x1, y1 = (float(side) for side in subject.xyxy)
            left, right = (int(x / width * THUMBNAIL_WH[0]) for x in (x0, x1))
            top, bottom = (int(y / height * THUMBNAIL_WH[1]) for y in (y0, y1))
            small[max(top, 0) : bottom + 1, max(left, 0) : right + 1] = np.nan
        self._thumbnails.append(small)

    def check(self) -> ViewChange | None:
        """What has happened to the view; None: it is the same, or too little is known. Learns a missing reference."""
        now = self.median_view()
        if now is None:
            return None
        if self.reference is None:
            self.reference = now
        return compare_views(self.reference, now)

    def median_view(self) -> F32 | None:
        """(36, 64) grey levels, the upper median of the thumbnails; NaN: covered in most. None: too few thumbnails."""
        thumbnails = list(self._thumbnails)  # another thread appends
        if len(thumbnails) < MIN_THUMBNAILS:
            return None
        stack = np.stack(thumbnails)
        known = np.count_nonzero(~np.isnan(stack), axis=0) >= MIN_THUMBNAILS // 2
        filled = np.where(np.isnan(stack), np.inf, stack)  # sorts behind all known ones
        middle = (np.isfinite(filled).sum(axis=0) // 2)[None]
        median = np.take_along_axis(np.sort(filled, axis=0), middle, axis=0)[0]
        return np.where(known, median, np.nan).astype(np.float32)


class ViewMonitors:
    """All cameras over a stall. `sink` belongs to the compute thread, the rest to the behaviour thread."""

    def __init__(self, stalls: Mapping[str, StallConfig], state_dir: Path) -> None:
        self._file = JsonState(state_dir / FILE, CONTENT)
        no_views: dict[str, SavedView] = {}
        self._saved = self._file.read(_parse_views, no_views)
        self._drawings: dict[str, str] = {}
        self._monitors: dict[str, ViewMonitor] = {}
        self._last_check_ns: dict[str, int] = {}
        self._changes: dict[str, ViewChange | None] = {}
        self.reconfigure(stalls)

    def reconfigure(self, stalls: Mapping[str, StallConfig]) -> None:
        """Monitor these from now on. Other settings of a stall than its drawing keep its reference view."""
        drawings = {
            name: stall.model_dump_json(include={"floor", "floor_m", "zones"}) for name, stall in stalls.items()
        }
        self._monitors = {
            name: self._monitors[name]
            if self._drawings.get(name) == drawing
            else ViewMonitor(self._saved_reference(name, drawing))
            for name, drawing in drawings.items()
        }
        self._drawings, self._changes = drawings, {}

    def sink(self, frame: Frame, result: FrameResult) -> None:
        """A frame and its result. The compute thread."""
        monitor, t_s = self._monitors.get(frame.camera), result.captured_ns / NS_PER_S
        if monitor is not None and not result.quality.degraded and monitor.due(t_s):
            monitor.add_frame(t_s, frame, result)

    def view_change(self, camera: str, now_ns: int) -> ViewChange | None:
        """What has happened to a camera's view, compared every ten seconds; None: nothing, or unknown."""
        if (monitor := self._monitors.get(camera)) is None:
            return None
        if now_ns - self._last_check_ns.get(camera, 0) >= ns(SAMPLE_PERIOD_S):
            self._last_check_ns[camera] = now_ns
            had_reference = monitor.reference is not None
            self._changes[camera] = monitor.check()
            if monitor.reference is not None and not had_reference:
                self._save()
        return self._changes.get(camera)

    def _saved_reference(self, name: str, drawing: str) -> F32 | None:
        saved = self._saved.get(name)
        return saved.view if saved is not None and saved.drawing == drawing else None

    def _save(self) -> None:
        references = {name: monitor.reference for name, monitor in self._monitors.items()}
        self._saved = {
            name: SavedView(self._drawings[name], view) for name, view in references.items() if view is not None
        }
        self._file.write({name: saved.to_json() for name, saved in self._saved.items()})


@dataclass(frozen=True, slots=True, eq=False)
class SavedView:
    drawing: str
    view: F32  # (36, 64) grey levels; NaN: unknown

    def to_json(self) -> dict[str, Any]:
        grey = np.where(np.isnan(self.view), -1, self.view).round().astype(int)
        return {"drawn": self.drawing, "view": grey.tolist()}


def _parse_views(tables: dict[str, dict[str, Any]]) -> dict[str, SavedView]:
    views: dict[str, SavedView] = {}
    for name, table in tables.items():
        view = np.array(table["view"], np.float32)
        if view.shape != THUMBNAIL_WH[::-1]:
            raise ValueError(f"view of {name}: {view.shape}")
        views[name] = SavedView(str(table["drawn"]), np.where(view < 0, np.float32(np.nan), view))
    return views


def thumbnail(frame: Frame) -> F32:
    """(36, 64) float32 grey levels, the mean of some pixels of each block; NaN: the image is smaller than that."""
    width, height = frame.size_wh
    columns, rows = width // THUMBNAIL_WH[0], height // THUMBNAIL_WH[1]
    if not rows or not columns:
        return np.full(THUMBNAIL_WH[::-1], np.nan, np.float32)
    image = frame.image
    if frame.pixel_format == "nv12":
        image = image[:height]
    elif frame.pixel_format == "yuyv":
        image = image[..., :1]
    whole = image[: rows * THUMBNAIL_WH[1], : columns * THUMBNAIL_WH[0]]
    blocks = whole.reshape(THUMBNAIL_WH[1], rows, THUMBNAIL_WH[0], columns, -1)
    step = max(1, min(rows, columns) // 4)
    return np.asarray(blocks[:, ::step, :, ::step].mean(axis=(1, 3, 4)), np.float32)


def compare_views(reference: F32, now: F32) -> ViewChange | None:
    """What has happened to a view (36, 64), NaN: unknown; None: it is the same, or unknown."""
    edges = _edges(reference), _edges(now)
    unshifted = _correlation(*edges, 0, 0)
    best, shift = max((_correlation(*edges, dx, dy), max(abs(dx), abs(dy))) for dx in SHIFTS for dy in SHIFTS)
    if shift >= MIN_SHIFT and best > MIN_CORRELATION and best > unshifted + MIN_GAIN:
        return "moved"
    return "dirty" if _is_dirty(*edges) else None


def _edges(view: F32) -> F32:
    """(2, 35, 63) differences of neighbours across and down."""
    return np.stack([np.diff(view, axis=1)[:-1], np.diff(view, axis=0)[:, :-1]])


def _correlation(reference: F32, now: F32, dx: int, dy: int) -> float:
    """Correlation of two views' edges, the present one shifted by dx, dy thumbnail px."""
    height, width = reference.shape[1:]
    a = reference[:, max(dy, 0) : height + min(dy, 0), max(dx, 0) : width + min(dx, 0)]
    b = now[:, max(-dy, 0) : height + min(-dy, 0), max(-dx, 0) : width + min(-dx, 0)]
    both = ~(np.isnan(a) | np.isnan(b))
    a, b = np.where(both, a, 0), np.where(both, b, 0)
    return float((a * b).sum() / max(float(np.sqrt((a * a).sum() * (b * b).sum())), 1e-6))


def _is_dirty(reference: F32, now: F32) -> bool:
    """Whether some tiles have lost their detail while others keep theirs: dirt on the lens, not the light."""
    before, after = _tile_detail(reference), _tile_detail(now)
    known = (before > MIN_DETAIL) & ~np.isnan(after)
    if np.count_nonzero(known) < np.prod(TILES) / 4:
        return False
    left = after[known] / before[known]
    clean = left[left > LOST_DETAIL]
    usual = float(np.median(clean)) if len(clean) else 0.0
    dirty = float(np.mean(left < LOST_DETAIL * max(usual, LOST_DETAIL)))
    return MIN_DIRTY_TILES <= dirty <= MAX_DIRTY_TILES


def _tile_detail(edges: F32) -> F32:
    """(6, 8) mean edge size of each tile; NaN: most of it is unknown."""
    rows, columns = edges.shape[1] // TILES[0], edges.shape[2] // TILES[1]
    size = np.hypot(edges[0], edges[1])[: rows * TILES[0], : columns * TILES[1]]
    tiles = size.reshape(TILES[0], rows, TILES[1], columns).transpose(0, 2, 1, 3).reshape(*TILES, -1)
    known = ~np.isnan(tiles)
    count = known.sum(axis=-1)
    mean = np.where(known, tiles, 0).sum(axis=-1) / np.maximum(count, 1)
    return np.asarray(np.where(2 * count >= tiles.shape[-1], mean, np.nan), np.float32)
