"""A network namespace with one link to this machine, for a node that others stop hearing. Needs root and iproute2."""

from __future__ import annotations

import json
import subprocess
from contextlib import suppress
from typing import Any

OUTSIDE, INSIDE = "10.213.7.1", "10.213.7.2"  # addresses of the link's two ends
NAME, OUTER, INNER = "edged-island", "edged-out", "edged-in"
NOBODY = "02:00:00:00:00:01"  # a hardware address that neither end has


class Island:
    """The namespace. A cut loses every packet in silence, as a switch that has failed; no end gets an error."""

    def __init__(self) -> None:
        self.close()  # of a run that was killed
        _ip("netns", "add", NAME)
        _ip("link", "add", OUTER, "type", "veth", "peer", "name", INNER, "netns", NAME)
        _ip("address", "add", f"{OUTSIDE}/30", "dev", OUTER)
        _ip("link", "set", OUTER, "up")
        _ip("-n", NAME, "address", "add", f"{INSIDE}/30", "dev", INNER)
        _ip("-n", NAME, "link", "set", INNER, "up")
        _ip("-n", NAME, "link", "set", "lo", "up")
        self._outer_mac, self._inner_mac = _mac(OUTER), _mac(INNER, "-n", NAME)
        self.mend()

    @property
    def prefix(self) -> list[str]:
        """Before a command, so that it runs in there."""
        return ["ip", "netns", "exec", NAME]

    def cut(self) -> None:
        self._send_to(NOBODY, NOBODY)

    def mend(self) -> None:
        self._send_to(self._inner_mac, self._outer_mac)

    def close(self) -> None:
        with suppress(subprocess.CalledProcessError):
            _ip("link", "del", OUTER)
        with suppress(subprocess.CalledProcessError):
            _ip("netns", "del", NAME)

    def _send_to(self, inner: str, outer: str) -> None:
        _ip("neigh", "replace", INSIDE, "lladdr", inner, "dev", OUTER, "nud", "permanent")
        _ip("-n", NAME, "neigh", "replace", OUTSIDE, "lladdr", outer, "dev", INNER, "nud", "permanent")


def _mac(link: str, *where: str) -> str:
    found: list[dict[str, Any]] = json.loads(_ip(*where, "-json", "link", "show", "dev", link))
    return str(found[0]["address"])


def _ip(*words: str) -> str:
    done = subprocess.run(["ip", *words], check=True, capture_output=True, text=True, timeout=10)
    return done.stdout
