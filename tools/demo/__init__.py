"""The clip that `make run` plays: a horse in a stall by day and by night, and people who pass; rendered, with truth."""

from __future__ import annotations

from pathlib import Path

CLIP = Path(__file__).parent / "stall.mp4"
