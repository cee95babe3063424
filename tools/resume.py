"""Saves the figures of a long run part by part, so that an interrupted run can continue."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

Key = dict[str, Any]  # the settings of a run


class SavedParts:
    """The parts measured so far, saved in `path` if given; parts saved with another key are ignored."""

    def __init__(self, path: Path | None, key: Key) -> None:
        self._path, self._key = path, json.loads(json.dumps(key))  # as JSON gives it back
        self.parts: dict[str, Any] = {}
        self.others: dict[str, float] = {}  # cores used by other processes, by part
        if path and path.exists() and (saved := json.loads(path.read_text()))["key"] == self._key:
            self.parts, self.others = saved["parts"], saved["others"]

    def part(self, name: str, make: Callable[[], Any]) -> Any:
        """Return a part by name; measure and save it if it is not saved yet."""
        if name not in self.parts:
            began, own_s, busy_s = time.perf_counter(), _own_s(), _busy_s()
            self.parts[name] = make()
            wall_s = time.perf_counter() - began
            self.others[name] = max(0.0, (_busy_s() - busy_s - _own_s() + own_s) / wall_s)
            self._write()
            print(f"{name}: {wall_s:.0f} s, other processes used {self.others[name]:.1f} cores", flush=True)
        return self.parts[name]

    def forget(self) -> None:
        if self._path:
            self._path.unlink(missing_ok=True)

    def _write(self) -> None:
        if not self._path:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        part = self._path.with_suffix(".part")
        part.write_text(json.dumps({"key": self._key, "parts": self.parts, "others": self.others}))
        part.replace(self._path)


def _own_s() -> float:
    spent = psutil.Process().cpu_times()
    return float(spent.user + spent.system + spent.children_user + spent.children_system)


def _busy_s() -> float:
    spent = psutil.cpu_times()
    return float(spent.user + spent.system + spent.nice)
