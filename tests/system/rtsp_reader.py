"""`python -m tests.system.rtsp_reader URL`: reads a network camera as the daemon does, prints each state."""

from __future__ import annotations

import json
import sys
import time

from edged.capture.camera import CameraState
from edged.capture.hub import CameraHub
from edged.capture.sources.rtsp import RtspCamera
from edged.config.tables.camera import CameraConfig
from edged.runtime.allocator import limit_arenas
from tests.support.lease import leased


def print_state(phase: str, reason: str) -> None:
    """One line in one write: two threads print."""
    sys.stdout.write(json.dumps({"at_s": time.monotonic(), "phase": phase, "reason": reason}) + "\n")
    sys.stdout.flush()


def on_state(state: CameraState) -> None:
    print_state(state.phase, state.reason)


def main() -> None:
    limit_arenas()
    quick = {"open_timeout_s": 3, "frame_timeout_s": 1, "retry_max_s": 0.2}
    settings = CameraConfig.model_validate({"source": sys.argv[1], **quick})
    hub = CameraHub({"cam": (settings, RtspCamera("cam", settings))}, on_state)
    hub.start()
    while True:
        with leased(hub, 1.0) as frame:
            size = None if frame is None else frame.image.shape[:2]
        if frame is not None and frame.seq == 0:
            print_state("first", f"{size}")


if __name__ == "__main__":
    main()
