"""`python -m tests.system.rtsp_reader URL`: one network camera read as the daemon reads it; every state as a line."""

from __future__ import annotations

import json
import sys
import time

from edged.capture.camera import CameraState
from edged.capture.hub import CameraHub
from edged.capture.sources.rtsp import RtspCamera
from edged.config.tables.camera import CameraConfig
from edged.runtime.allocator import limit_arenas


def said(phase: str, reason: str) -> None:
    """One line in one write: two threads say something."""
    sys.stdout.write(json.dumps({"at_s": time.monotonic(), "phase": phase, "reason": reason}) + "\n")
    sys.stdout.flush()


def tell(state: CameraState) -> None:
    said(state.phase, state.reason)


def main() -> None:
    limit_arenas()
    quick = {"open_timeout_s": 3, "frame_timeout_s": 1, "retry_max_s": 0.2}
    settings = CameraConfig.model_validate({"source": sys.argv[1], **quick})
    intake = CameraHub({"cam": (settings, RtspCamera("cam", settings))}, tell)
    intake.start()
    while True:
        with intake.lease(1.0) as frame:
            size = None if frame is None else frame.image.shape[:2]
        if frame is not None and frame.seq == 0:
            said("first", f"{size}")


if __name__ == "__main__":
    main()
