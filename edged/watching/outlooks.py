"""The views of the cameras that hang over a stall, against those they had when its floor was drawn.

Upstream: the loop, as a sink. Downstream: who looks twice a second. What a view was survives restarts; a stall that is
drawn anew has a new one.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edged.barn.settings import Stall
from edged.frame import Frame, Result
from edged.memory import Memory
from edged.units import NS_PER_S, ns
from edged.watching.outlook import EVERY_S, SIZE_WH, Outlook

FILE, WHAT = "views.json", "the cameras' views"


class Outlooks:
    """`sink` is the compute thread's; everything else belongs to one other."""

    def __init__(self, stalls: Mapping[str, Stall], state: Path) -> None:
        self._memory = Memory(state / FILE, WHAT)
        nothing: dict[str, Kept] = {}
        self._kept = self._memory.read(_kept, nothing)
        self._stalls: dict[str, str] = {}  # as drawn
        self._outlooks: dict[str, Outlook] = {}
        self._looked_ns = 0
        self._found: dict[str, str | None] = {}
        self.adopt(stalls)

    def adopt(self, stalls: Mapping[str, Stall]) -> None:
        drawn = {name: stall.model_dump_json(include={"floor", "floor_m", "zones"}) for name, stall in stalls.items()}
        self._outlooks = {
            name: self._outlooks[name] if self._stalls.get(name) == drawing else Outlook(self._before(name, drawing))
            for name, drawing in drawn.items()
        }
        self._stalls, self._found = drawn, {}

    def sink(self, frame: Frame, result: Result) -> None:
        """A frame, on the compute thread."""
        outlook, t_s = self._outlooks.get(frame.camera), result.captured_ns / NS_PER_S
        if outlook is not None and not result.clarity.degraded and outlook.due(t_s):
            outlook.see(t_s, frame, result)

    def found(self, camera: str, now_ns: int) -> str | None:
        """`moved`, `dirty`, or nothing that can be told."""
        if now_ns - self._looked_ns >= ns(EVERY_S):
            self._looked_ns = now_ns
            known = {name for name, outlook in self._outlooks.items() if outlook.before is not None}
            self._found = {name: outlook.look() for name, outlook in self._outlooks.items()}
            if known != {name for name, outlook in self._outlooks.items() if outlook.before is not None}:
                self._keep()
        return self._found.get(camera)

    def _before(self, name: str, drawing: str) -> np.ndarray[Any, np.dtype[np.float32]] | None:
        drawn, view = self._kept.get(name, ("", None))
        return view if drawn == drawing else None

    def _keep(self) -> None:
        self._kept = {
            name: (self._stalls[name], outlook.before)
            for name, outlook in self._outlooks.items()
            if outlook.before is not None
        }
        self._memory.write(
            {
                name: {"drawn": drawn, "view": np.where(np.isnan(view), -1, view).round().astype(int).tolist()}
                for name, (drawn, view) in self._kept.items()
                if view is not None
            }
        )


Kept = tuple[str, "np.ndarray[Any, np.dtype[np.float32]] | None"]  # the drawing, and the view it was made in


def _kept(tables: dict[str, dict[str, Any]]) -> dict[str, Kept]:
    kept: dict[str, Kept] = {}
    for name, table in tables.items():
        view = np.array(table["view"], np.float32)
        if view.shape != SIZE_WH[::-1]:
            raise ValueError(f"view of {name}: {view.shape}")
        kept[name] = str(table["drawn"]), np.where(view < 0, np.float32(np.nan), view)
    return kept
