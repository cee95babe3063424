"""A camera that is lost, looked for by its serial number at other addresses of this network.

Upstream: `RtspCamera`, on its capture thread. Opt-in, by `onvif_serial`: every camera that answers gets a login.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from ipaddress import ip_address

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

        None too while the camera answers at `host`, and where two say that they are it: one of them is a stranger,
        unless each says that the addresses of all are its own, which the camera itself says of no stranger's.
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
        there = [camera for camera in found if time.monotonic() < end_s and self._is_it(camera, end_s)]
        hosts = [camera.host for camera in there]
        if len(there) > 1 and not self._are_one(there, end_s):
            text = (
                "%s say to be the camera with the serial number %s, and not that all addresses are its own, so none "
                "is believed; look who the stranger is, or leave the camera one address"
            )
            log.warning(text, " and ".join(hosts), self._serial)
        elif there and host not in hosts:
            new = min(hosts, key=_is_link_local)
            log.warning("the camera with the serial number %s was at %s and is at %s", self._serial, host, new)
            return new
        else:
            log.info("the camera with the serial number %s is not at another of %d found", self._serial, len(found))
        return None

    def _is_it(self, camera: FoundCamera, end_s: float) -> bool:
        try:
            return self._device(camera, end_s).facts().serial == self._serial
        except CameraLost as error:
            log.info("%s does not report its serial number: %s", camera.host, error)
            return False

    def _are_one(self, cameras: list[FoundCamera], end_s: float) -> bool:
        """Whether it is one camera at several addresses, by its own word at each of them."""
        hosts = {_bare(camera.host) for camera in cameras}
        try:
            return all(hosts <= self._device(camera, end_s).addresses() for camera in cameras)
        except CameraLost as error:
            log.info("a camera does not report its addresses: %s", error)
            return False

    def _device(self, camera: FoundCamera, end_s: float) -> OnvifDevice:
        return OnvifDevice(camera.service, self._credentials, min(REQUEST_S, end_s - time.monotonic()))


def _bare(host: str) -> str:
    """Without the zone of ours."""
    return host.partition("%")[0]


def _is_link_local(host: str) -> bool:
    """Whether it is an address that a device gave itself, and that may change at its next start."""
    return ip_address(_bare(host)).is_link_local


def search_of(settings: CameraConfig, username: str, password: str) -> CameraSearch | None:
    """The search for a camera; None: it is not asked for."""
    if not settings.onvif_serial:
        return None
    credentials = Credentials(username, password) if username else None
    return CameraSearch(settings.onvif_serial, credentials, settings.open_timeout_s)
