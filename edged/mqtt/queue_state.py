"""What the persistent queue may send now, and what it has not written yet."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from edged.mqtt.sqlite_queue import QueueRow


class QueueState(Enum):
    """What may be sent now."""

    OFFLINE = "offline"  # nothing: there is no connection
    DRAINING = "draining"  # connected; the store holds messages that are to be sent, older ones in windows
    LIVE = "live"  # connected; everything stored has been handed out
    CLOSED = "closed"


@dataclass(slots=True)
class Unwritten:
    """A message that is not on disk yet."""

    row: QueueRow
    new: bool  # put during this connection
