"""Stills and clips of alerts on disk, a folder per alert, bounded by size and age.

Upstream: the recorder. Downstream: the page, and the command `evidence`. Thread: any; one writes.
"""

from __future__ import annotations

import json
import logging
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from edged.units import BYTES_PER_MB, S_PER_DAY
from engines.store.disk import write

log = logging.getLogger(__name__)

ALERT_ID = re.compile("[0-9a-f]{32}")
MESSAGE = "alert.json"
MAX_LISTED = 200  # alerts, newest first

Part = Literal["still", "plain", "clip"]
FILES: Mapping[Part, str] = {"still": "still.jpg", "plain": "plain.jpg", "clip": "clip.mp4"}


class EvidenceStore:
    """The evidence below one folder."""

    def __init__(self, folder: Path, *, max_mb: float, max_days: float) -> None:
        self._folder = folder
        self._max_bytes = int(max_mb * BYTES_PER_MB)
        self._max_age_s = max_days * S_PER_DAY

    def has(self, alert_id: str) -> bool:
        return bool(ALERT_ID.fullmatch(alert_id)) and (self._folder / alert_id / MESSAGE).exists()

    def put(self, alert_id: str, files: Mapping[str, bytes]) -> None:
        """Write these files of an alert; its folder is made. Raises OSError."""
        at = self.folder(alert_id)
        at.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            write(at / name, content)

    def put_message(self, alert_id: str, message: Mapping[str, Any]) -> None:
        """Keep the message of the alert's present stage. Raises OSError."""
        self.put(alert_id, {MESSAGE: json.dumps(message).encode()})

    def folder(self, alert_id: str) -> Path:
        """Where the files of an alert lie. Raises ValueError for what is no id of an alert."""
        if not ALERT_ID.fullmatch(alert_id):
            raise ValueError(f"{alert_id!r}: no id of an alert")
        return self._folder / alert_id

    def path(self, alert_id: str, part: Part) -> Path | None:
        """The file of one part; None: there is none (yet)."""
        if not ALERT_ID.fullmatch(alert_id):
            return None
        path = self._folder / alert_id / FILES[part]
        return path if path.is_file() else None

    def camera(self, alert_id: str) -> str | None:
        """The camera of an alert with evidence; None: there is none."""
        if not ALERT_ID.fullmatch(alert_id):
            return None
        message = _message(self._folder / alert_id)
        return None if message is None else str(message.get("camera"))

    def alerts(self) -> list[dict[str, Any]]:
        """The last message of each alert with evidence, newest first, and which `parts` it has."""
        return list(self._read())[:MAX_LISTED]

    def prune(self, now_s: float | None = None) -> None:
        """Delete what is too old, then the oldest until the rest fits. `now_s` is UTC; None: now."""
        now_s = time.time() if now_s is None else now_s
        total = 0
        for made_s, at in sorted(self._folders(), reverse=True):
            total += sum(file.stat().st_size for file in at.iterdir())
            if total > self._max_bytes or now_s - made_s > self._max_age_s:
                shutil.rmtree(at, ignore_errors=True)

    def _folders(self) -> list[tuple[float, Path]]:
        """When each was begun (UTC, s), and the folder."""
        if not self._folder.is_dir():
            return []
        found = [at for at in self._folder.iterdir() if ALERT_ID.fullmatch(at.name) and at.is_dir()]
        return [(_begun_s(at), at) for at in found]

    def _read(self) -> Iterator[dict[str, Any]]:
        for _, at in sorted(self._folders(), reverse=True):
            if (message := _message(at)) is not None:
                yield {**message, "parts": [part for part, name in FILES.items() if (at / name).is_file()]}


def _message(at: Path) -> dict[str, Any] | None:
    """The last message of an alert; None: it is being written or deleted, or damaged."""
    try:
        message = json.loads((at / MESSAGE).read_text())
    except (OSError, ValueError):
        return None
    return message if isinstance(message, dict) else None


def _begun_s(at: Path) -> float:
    """The age of the first file that is never written again."""
    plain = at / FILES["plain"]
    return (plain if plain.exists() else at).stat().st_mtime
