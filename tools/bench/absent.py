"""What a comparison does without."""

from __future__ import annotations


class Absent(SystemExit):
    """What cannot be measured here, and why; where nothing goes on without it, the tool ends with these words."""
