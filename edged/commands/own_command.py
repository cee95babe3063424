"""How this very program is called, for commands that are printed to be typed."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path


def own_command() -> str:
    """`edged` where the shell finds this program under that name; else its path, or `python -m edged`."""
    program = Path(sys.argv[0])
    if program.name != "edged":
        return f"{shlex.quote(sys.executable)} -m edged"
    found = shutil.which("edged")
    same = found is not None and program.exists() and os.path.samefile(found, program)
    return "edged" if same else shlex.quote(str(program))
