"""The package's version sorts as Python's does: candidates before their release."""

from __future__ import annotations

import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

DEB = Path(__file__).parents[2] / "deploy" / "deb.sh"
VERSIONS = [
    "1.0.0.dev3",
    "1.0.0a1",
    "1.0.0b2",
    "1.0.0rc1.dev2",
    "1.0.0rc1",
    "1.0.0",
    "1.0.0.post1",
    "1.0.1.dev1",
    "1.0.1",
]


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
    versions = [package_version(tmp_path, version) for version in VERSIONS]
    for older, newer in pairwise(versions):
        assert subprocess.run(["dpkg", "--compare-versions", older, "lt", newer], check=False).returncode == 0, (
            older,
            newer,
        )
    assert "1.0.0" in versions
