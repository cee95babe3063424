"""State that survives a restart, one JSON file each. A disk that cannot be written is logged once, and nothing else."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from engines.errors import StoreError
from engines.store.disk import publish

log = logging.getLogger(__name__)

MAX_BYTES = 1 << 26  # days of 64 stalls have 20 MB at most

T = TypeVar("T")


class JsonState:
    """`content` names it in log lines, in the plural, such as "today's totals". One thread at a time."""

    def __init__(self, path: Path, content: str) -> None:
        self._path = path
        self._content = content
        self._write_failed = False

    def read(self, parse: Callable[[Any], T], default: T) -> T:
        """What `parse` makes of the file; `default` when there is none, or `parse` fails on what is in it."""
        try:
            return parse(json.loads(_read(self._path)))
        except FileNotFoundError:
            return default
        except OSError as exc:
            log.warning("%s: %s; %s begin again", self._path, exc.strerror, self._content)
        except (ValueError, TypeError, AttributeError, LookupError, RecursionError, OverflowError) as exc:
            self._put_aside(exc)
        return default

    def _put_aside(self, fault: Exception) -> None:
        """Keep the file for examination: the next write would replace it."""
        aside = self._path.with_name(f"{self._path.name}.corrupt")
        with suppress(OSError):
            self._path.replace(aside)
        reason = " ".join(str(fault).split())
        log.warning("%s: damaged (%s); put aside as %s, %s begin again", self._path, reason, aside.name, self._content)

    def write(self, value: Any) -> None:
        """Replace the file, whole or not at all."""
        part = self._path.with_suffix(".part")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(json.dumps(value))
            publish(part, self._path)
        except (OSError, StoreError) as exc:
            if not self._write_failed:
                reason = exc.strerror if isinstance(exc, OSError) else exc
                log.warning("%s: %s; %s will be lost at a restart", self._path, reason, self._content)
            self._write_failed = True
            return
        if self._write_failed:
            log.info("%s: %s are saved again", self._path, self._content)
        self._write_failed = False


def _read(path: Path) -> str:
    """The text of a regular file. Raises OSError, and ValueError for a larger one."""
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f"larger than {MAX_BYTES >> 20} MiB")
    return data.decode()
