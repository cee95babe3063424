"""The views of the cameras that hang over a stall, against those they had when its floor was drawn.

Upstream: the loop, as a sink. Downstream: who looks twice a second. What a view was survives restarts; a stall that is
drawn anew has a new one.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edged.behaviour.view import SAMPLE_PERIOD_S, THUMBNAIL_WH, ViewMonitor
from edged.config.tables.stall import StallConfig
from edged.frame import Frame, FrameResult
from edged.runtime.json_state import JsonState
from edged.units import NS_PER_S, ns

FILE, WHAT = "views.json", "the cameras' views"


class ViewMonitors:
    """`sink` is the compute thread's; everything else belongs to one other."""

    def __init__(self, stalls: Mapping[str, StallConfig], state_dir: Path) -> None:
        self._file = JsonState(state_dir / FILE, WHAT)
        nothing: dict[str, SavedView] = {}
        self._saved = self._file.read(_parse_views, nothing)
        self._drawings: dict[str, str] = {}  # as drawn
        self._monitors: dict[str, ViewMonitor] = {}
        self._last_check_ns = 0
        self._changes: dict[str, str | None] = {}
        self.reconfigure(stalls)

    def reconfigure(self, stalls: Mapping[str, StallConfig]) -> None:
        drawn = {name: stall.model_dump_json(include={"floor", "floor_m", "zones"}) for name, stall in stalls.items()}
        self._monitors = {
            name: self._monitors[name]
            if self._drawings.get(name) == drawing
            else ViewMonitor(self._saved_reference(name, drawing))
            for name, drawing in drawn.items()
        }
        self._drawings, self._changes = drawn, {}

    def sink(self, frame: Frame, result: FrameResult) -> None:
        """A frame, on the compute thread."""
        outlook, t_s = self._monitors.get(frame.camera), result.captured_ns / NS_PER_S
        if outlook is not None and not result.quality.degraded and outlook.due(t_s):
            outlook.add_frame(t_s, frame, result)

    def view_change(self, camera: str, now_ns: int) -> str | None:
        """`moved`, `dirty`, or nothing that can be told."""
        if now_ns - self._last_check_ns >= ns(SAMPLE_PERIOD_S):
            self._last_check_ns = now_ns
            known = {name for name, outlook in self._monitors.items() if outlook.reference is not None}
            self._changes = {name: outlook.check() for name, outlook in self._monitors.items()}
            if known != {name for name, outlook in self._monitors.items() if outlook.reference is not None}:
                self._save()
        return self._changes.get(camera)

    def _saved_reference(self, name: str, drawing: str) -> np.ndarray[Any, np.dtype[np.float32]] | None:
        drawn, view = self._saved.get(name, ("", None))
        return view if drawn == drawing else None

    def _save(self) -> None:
        self._saved = {
            name: (self._drawings[name], outlook.reference)
            for name, outlook in self._monitors.items()
            if outlook.reference is not None
        }
        self._file.write(
            {
                name: {"drawn": drawn, "view": np.where(np.isnan(view), -1, view).round().astype(int).tolist()}
                for name, (drawn, view) in self._saved.items()
                if view is not None
            }
        )


SavedView = tuple[str, "np.ndarray[Any, np.dtype[np.float32]] | None"]  # the drawing, and the view it was made in


def _parse_views(tables: dict[str, dict[str, Any]]) -> dict[str, SavedView]:
    kept: dict[str, SavedView] = {}
    for name, table in tables.items():
        view = np.array(table["view"], np.float32)
        if view.shape != THUMBNAIL_WH[::-1]:
            raise ValueError(f"view of {name}: {view.shape}")
        kept[name] = str(table["drawn"]), np.where(view < 0, np.float32(np.nan), view)
    return kept
