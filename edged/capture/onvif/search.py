"""A camera that is lost, looked for by its serial number at other addresses of this network.

Upstream: `RtspCamera`, on its capture thread. Opt-in, by `onvif_serial`: every camera that answers gets a login.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from edged.capture.onvif.device import OnvifDevice
from edged.capture.onvif.discovery import FoundCamera, discover
from edged.capture.onvif.soap import Credentials
from edged.config.tables.camera import CameraConfig
from edged.errors import CameraLost

log = logging.getLogger(__name__)

PERIOD_S = 60.0  # between two searches
PROBE_SHARE, LIMIT_SHARE = 0.2, 0.8  # of `open_timeout_s`: for answers to the probe; for the whole search
REQUEST_S = 2.0  # for one camera


class CameraSearch:
    """One camera. One thread."""

    def __init__(
        self,
        serial: str,
        credentials: Credentials | None,
        limit_s: float,
        find: Callable[[float], list[FoundCamera]] = discover,
    ) -> None:
        """`limit_s`: for the first frame, which a search must not exceed."""
        self._serial = serial
        self._credentials = credentials
        self._limit_s = limit_s
        self._find = find
        self._is_lost = False
        self._next_s = 0.0

    def lost(self) -> None:
        """The camera could not be opened."""
        self._is_lost = True

    def moved_from(self, host: str) -> str | None:
        """Where the camera is now, if it is lost and elsewhere; None: look at `host` again. Once a minute at most.

        None too while the camera answers at `host`, and where two say that they are it: one of them is a stranger.
        """
        if not self._is_lost or time.monotonic() < self._next_s:
            return None
        self._is_lost, self._next_s = False, time.monotonic() + PERIOD_S
        end_s = time.monotonic() + LIMIT_SHARE * self._limit_s
        try:
            found = self._find(PROBE_SHARE * self._limit_s)
        except CameraLost as error:
            log.warning("the camera with the serial number %s cannot be looked for: %s", self._serial, error)
            return None
        found = sorted(found, key=lambda camera: camera.host != host)  # first where it was
        there = [camera.host for camera in found if time.monotonic() < end_s and self._is_it(camera, end_s)]
        if len(there) == 1 and there[0] != host:
            log.warning("the camera with the serial number %s was at %s and is at %s", self._serial, host, there[0])
            return there[0]
        if len(there) > 1:
            text = "%s say to be the camera with the serial number %s, so none is believed; look who the stranger is"
            log.warning(text, " and ".join(there), self._serial)
        else:
            log.info("the camera with the serial number %s is not at another of %d found", self._serial, len(found))
        return None

    def _is_it(self, camera: FoundCamera, end_s: float) -> bool:
        limit_s = min(REQUEST_S, end_s - time.monotonic())
        try:
            return OnvifDevice(camera.service, self._credentials, limit_s).facts().serial == self._serial
        except CameraLost as error:
            log.info("%s does not tell its serial number: %s", camera.host, error)
            return False


def search_of(settings: CameraConfig, username: str, password: str) -> CameraSearch | None:
    """The search for a camera; None: it is not asked for."""
    if not settings.onvif_serial:
        return None
    credentials = Credentials(username, password) if username else None
    return CameraSearch(settings.onvif_serial, credentials, settings.open_timeout_s)
