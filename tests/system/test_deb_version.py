"""The package's version sorts as Python's does: candidates before their release."""

from __future__ import annotations

import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from tests.support.versions import IN_ORDER

DEB = Path(__file__).parents[2] / "deploy" / "deb.sh"


def package_version(folder: Path, version: str) -> str:
    house = folder / version
    house.mkdir()
    (house / f"edged-{version}-py3-none-any.whl").touch()
    (house / "edged-x86_64-py311.txt").touch()
    package = subprocess.run(["sh", DEB, house, folder], capture_output=True, text=True, check=True).stdout.strip()
    field = subprocess.run(["dpkg-deb", "-f", package, "Version"], capture_output=True, text=True, check=True)
    return field.stdout.strip()


def test_version_sorts_before_its_release(tmp_path: Path) -> None:
    if shutil.which("dpkg-deb") is None:
        pytest.skip("needs dpkg-deb")
    versions = [package_version(tmp_path, version) for version in IN_ORDER]
    for older, newer in pairwise(versions):
        assert subprocess.run(["dpkg", "--compare-versions", older, "lt", newer], check=False).returncode == 0, (
            older,
            newer,
        )
    assert "1.0.0" in versions
