"""Everything that the program reads at run time is part of what is installed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

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


def requirements() -> list[Requirement]:
    """Of the package and of all its extras, but for the package itself."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    return [found for line in lines if (found := Requirement(line)).name != "edged"]


@pytest.mark.parametrize("requirement", requirements(), ids=str)
def test_requirement_has_an_upper_bound(requirement: Requirement) -> None:
    assert {"<", "<=", "=="} & {part.operator for part in requirement.specifier}


def test_constraints_are_within_the_bounds() -> None:
    lines = (REPOSITORY / "tests" / "constraints.txt").read_text().splitlines()
    pins = {
        canonicalize_name(pin.name): pin for line in lines if not line.startswith("#") for pin in [Requirement(line)]
    }
    outside = [
        str(requirement)
        for requirement in requirements()
        if (pin := pins.get(canonicalize_name(requirement.name)))
        and requirement.specifier != SpecifierSet("<2")  # numpy of JetPack
        and not requirement.specifier.contains(next(iter(pin.specifier)).version)
    ]
    assert outside == []
