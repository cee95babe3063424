"""Every line of every `sh` block in the READMEs is run, in a copy of what it needs. `console` blocks need a box."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
LIMIT_S = 120


def commands() -> Iterator[tuple[str, str]]:
    """Page and command, comments left out."""
    for page in sorted([*ROOT.glob("*.md"), *ROOT.glob(".github/*.md"), *ROOT.glob("[a-z]*/**/*.md")]):
        for block in re.findall(r"^```sh\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE):
            for line in block.replace("\\\n", " ").splitlines():
                if words := shlex.split(line, comments=True):
                    yield str(page.relative_to(ROOT)), shlex.join(words)


@pytest.mark.parametrize(("page", "command"), list(commands()))
def test_command_of_a_readme_succeeds(page: str, command: str, tmp_path: Path) -> None:
    if command.startswith("make "):  # this very suite, and what CI runs beside it: the target exists
        command = command.replace("make ", "make -n ")
    for name in ("configs", "tests", "tools", "Makefile", "pyproject.toml"):
        (tmp_path / name).symlink_to(ROOT / name)
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    done = subprocess.run(
        command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
