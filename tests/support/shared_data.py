"""Where real photographs and published weights lie: `TESTS_DATA`, or a folder `shared` beside the repository."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("TESTS_DATA", ROOT.parent / "shared"))
