"""Clears the retained messages of cameras that are gone, also of those that went while no daemon ran.

Upstream: the daemon, at its start and after a reload. Downstream: the bus.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

from edged.config.types import NAME
from edged.messages import topics
from edged.messages.bus import Bus
from edged.runtime.json_state import JsonState

RETAINED = (topics.CAMERA_STATUS, topics.STATE, topics.DAILY)


class RetainedCameras:
    """`file` has every camera that was ever published below `root`, <base>/<device>. The loop's thread."""

    def __init__(self, bus: Bus, file: Path, root: str) -> None:
        self._bus = bus
        self._file = JsonState(file, "names of published cameras")
        self._root = root
        nothing: set[str] = set()
        self._published = self._file.read(self._parse, nothing)
        self._cleared: set[str] = set()

    def keep(self, cameras: Collection[str]) -> None:
        """From now on there are these; the messages of all others are cleared.

        Those that were gone before are cleared at each start: the broker may have been away last time.
        """
        gone = self._published - set(cameras)
        for name in sorted(gone - self._cleared):
            for spec in RETAINED:
                self._bus.publish(spec.at(camera=name), b"")
        self._cleared = gone
        if not self._published.issuperset(cameras):
            self._published |= set(cameras)
            self._file.write({"root": self._root, "cameras": sorted(self._published)})

    def _parse(self, saved: Any) -> set[str]:
        """Of another root none: another device may be there by now. Raises ValueError for what is no camera's name."""
        names = set(saved["cameras"])
        if not all(re.fullmatch(NAME, name) for name in names):
            raise ValueError("a name that no camera has")
        return names if saved["root"] == self._root else set()
