"""The clip that `make run` plays: a horse in a stall by day and by night, people passing by; rendered with truth."""

from __future__ import annotations

from pathlib import Path

CLIP = Path(__file__).parent / "stall.mp4"
