"""Everything that the program reads at run time is part of what is installed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

REPOSITORY = Path(__file__).parents[2]
FOR_PEOPLE = {"README.md"}


@pytest.mark.parametrize("package", ["edged", "engines"])
def test_every_file_of_a_package_is_installed_with_it(package: str) -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"][package]
    folder = REPOSITORY / package
    data = {path for path in folder.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
    installed = {path for pattern in patterns for path in folder.glob(pattern)}
    assert {str(path) for path in data - installed if path.name not in FOR_PEOPLE} == set()
