"""Clears retained messages of cameras that are gone, and of a device id that this device had before.

Upstream: the daemon, at its start and after a reload. Downstream: the bus. What the broker has is forgotten here; until
then it is tried at each start, as the broker may be away.
"""

from __future__ import annotations

import logging
import math
import re
import threading
import time
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Any

from edged.config.types import NAME
from edged.foreign_text import foreign_json
from edged.messages import topics
from edged.messages.bus import Bus, Request
from edged.messages.topics import Topic, TopicSpec
from edged.runtime.json_state import JsonState

log = logging.getLogger(__name__)

RETAINED = (topics.STATE, topics.DAILY, topics.CAMERA_STATUS)  # the last of them is the one that is not stored
OF_DEVICE = (topics.INFO, topics.HEALTH, topics.SWITCHES, topics.REPORTED, topics.STATUS)  # STATUS last: it tells
MAX_FORMER = 4  # ids whose messages wait to be cleared; the oldest is given up
WILL_S = 120.0  # by then a broker has seen that a device is gone, where `mqtt.keepalive_s` is not above 80


class RetainedCameras:
    """`file` has the cameras that were published below `root`, <base>/<device>, and those of roots before it.

    Thread: `keep` the loop's; the rest the bus's, which never waits for the file, or that of `Bus.call`.
    """

    def __init__(self, bus: Bus, file: Path, root: str, on_former: Callable[[str], None] = lambda device: None) -> None:
        """`on_former` is called with each former device id whose messages are cleared. The bus's thread."""
        self._bus = bus
        self._file = JsonState(file, "names of published cameras")
        self._root = root
        self._on_former = on_former
        self._lock = threading.RLock()  # of what follows but `_online_s`, and the file
        self._published: set[str] = set()
        self._former: dict[str, list[str]] = {}  # cameras by root
        self._online_s: dict[str, float] = {}  # former roots that were seen online, and when; time.monotonic
        saved: dict[str, list[str]] = self._file.read(_parse, {})
        for former, cameras in saved.items():  # that of `root` among them: a device may have its old id again
            if former == root:
                self._published = set(cameras)
            else:
                self._former[former] = cameras
        self._cameras: frozenset[str] = frozenset()
        self._cleared: set[str] = set()
        self._asked = False  # for the former roots

    def keep(self, cameras: Collection[str]) -> None:
        """From now on there are these; the messages of all others are cleared."""
        with self._lock:
            self._cameras = frozenset(cameras)
            gone = self._published - self._cameras
            new, self._cleared = sorted(gone - self._cleared), gone
            if not self._published.issuperset(cameras) or (self._former and not self._asked):
                self._published |= self._cameras
                self._write()
        for name in new:
            self._clear(RETAINED, "", partial(self._forget_camera, name), camera=name)
        if not self._asked:
            self._asked = True
            for root in tuple(self._former):  # other threads forget those that are cleared
                log.info("broker: what is retained below %s/ is cleared, once no device is online there", root)
                status = Topic(path=f"/{root}/{topics.STATUS.path}", spec=topics.STATUS)
                self._bus.subscribe(status, partial(self._on_former_status, root), optional=True)

    def _on_former_status(self, root: str, request: Request) -> None:
        """Another device may have that id by now, as after an image of a disk was copied: its messages are its own.

        So an id that is seen online is forgotten, unless it was this one, whose last will is still to come.
        """
        body = foreign_json(request.payload)
        if not isinstance(body, dict) or (cameras := self._former.get(root)) is None:
            return
        if body.get("state") == "online":
            self._leave(root)
            return
        if time.monotonic() - self._online_s.get(root, math.inf) > WILL_S:
            return
        for name in cameras:
            self._clear(RETAINED, f"/{root}/", camera=name)
        self._on_former(root.rpartition("/")[2])
        self._clear(OF_DEVICE, f"/{root}/", partial(self._forget_root, root))

    def _leave(self, root: str) -> None:  # the only one that writes `_online_s`
        if root not in self._online_s:
            log.warning("broker: a device is online as %s, the former id of this one: nothing of it is cleared", root)
            self._online_s[root] = time.monotonic()
            self._bus.call(self._save)

    def _save(self) -> None:
        with self._lock:
            self._write()

    def _clear(
        self, specs: tuple[TopicSpec, ...], prefix: str, on_last: Callable[[], None] | None = None, **names: str
    ) -> None:
        for spec in specs:
            topic = Topic(path=prefix + spec.at(**names).path, spec=spec)
            self._bus.publish(topic, b"", on_published=on_last if spec is specs[-1] else None)

    def _forget_camera(self, name: str) -> None:
        with self._lock:
            if name not in self._cameras:
                self._published.discard(name)
                self._write()

    def _forget_root(self, root: str) -> None:
        with self._lock:
            if self._former.pop(root, None) is not None:
                log.info("broker: what was retained below %s/ is cleared", root)
                self._write()

    def _write(self) -> None:  # under the lock
        left = [(root, cameras) for root, cameras in self._former.items() if root not in self._online_s]
        former = dict(left[-MAX_FORMER:])
        self._file.write({"root": self._root, "cameras": sorted(self._published), "former": former})


def _parse(saved: Any) -> dict[str, list[str]]:
    """Cameras by root, the last one last. Raises ValueError for what is no camera's name, or no root."""
    found = {**saved.get("former", {}), saved["root"]: saved["cameras"]}
    for root, names in found.items():
        if not re.fullmatch(r"[^+#\0]+/[^/+#\0]+", root) or not all(re.fullmatch(NAME, name) for name in names):
            raise ValueError("a name that no camera has, or a root that no device has")
    return {root: list(names) for root, names in found.items()}
