"""What must survive a restart, a JSON file each. A full or read-only disk costs what it holds, and is said once."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from engines.errors import StoreError
from engines.store.disk import publish

log = logging.getLogger(__name__)

T = TypeVar("T")


class JsonState:
    """`what` names the content in the log, such as "today's totals"."""

    def __init__(self, path: Path, content: str) -> None:
        self._path = path
        self._content = content
        self._write_failed = False

    def read(self, parse: Callable[[Any], T], default: T) -> T:
        """What `parse` makes of the file; `default` when there is nothing to read, or nothing that makes sense."""
        try:
            return parse(json.loads(self._path.read_text()))
        except FileNotFoundError:
            return default
        except OSError as exc:
            log.warning("%s: %s; %s begin again", self._path, exc.strerror, self._content)
        except (ValueError, TypeError, AttributeError) as exc:
            log.warning("%s: damaged (%s); %s begin again", self._path, exc, self._content)
        return default

    def write(self, value: Any) -> None:
        """Whole or not at all."""
        part = self._path.with_suffix(".part")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(json.dumps(value))
            publish(part, self._path)
        except (OSError, StoreError) as exc:
            if not self._write_failed:
                said = exc.strerror if isinstance(exc, OSError) else exc
                log.warning("%s: %s; a restart will forget %s", self._path, said, self._content)
            self._write_failed = True
            return
        if self._write_failed:
            log.info("%s: %s are kept again", self._path, self._content)
        self._write_failed = False
