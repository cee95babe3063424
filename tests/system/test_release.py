"""The files of a release, made from wheelhouses that are stood in for: the real ones are made by test_package.py."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.support.signing import new_key

DEPLOY = Path(__file__).parents[2] / "deploy"
# Where wheelhouse.sh would download packages: as many files, of the same names.
WHEELHOUSE = """#!/bin/sh
set -eu
mkdir -p "$1"
touch "$1/edged-$VERSION-py3-none-any.whl"
kind=$2 arch=$3 house=$1
shift 3
for python in "$@"; do echo "numpy==2.0" > "$house/$kind-$arch-$python.txt"; done
"""
LOCKS = {
    "amd64": ["plain-x86_64-3.10.txt", "plain-x86_64-3.11.txt", "plain-x86_64-3.12.txt"],
    "arm64": ["jetson-aarch64-3.10.txt", "jetson-aarch64-3.12.txt", "plain-aarch64-3.11.txt"],
}


@pytest.fixture
def deploy(tmp_path: Path) -> Path:
    """The scripts, in no repository."""
    if shutil.which("dpkg-deb") is None:
        pytest.skip("needs dpkg-deb")
    copy = shutil.copytree(DEPLOY, tmp_path / "deploy")
    (copy / "wheelhouse.sh").write_text(WHEELHOUSE)
    for name in ("LICENSE", "NOTICE"):
        shutil.copy(DEPLOY.parent / name, tmp_path)
    return copy


def release(
    deploy: Path, *arguments: str | Path, version: str = "1.2.3", key: str = ""
) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "VERSION": version, "GIT_CEILING_DIRECTORIES": str(deploy.parent.parent), "KEY": key}
    command = ["sh", deploy / "release.sh", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=deploy.parent)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def rows(folder: Path) -> list[str]:
    """The files that the page lists."""
    lines = (folder / "index.md").read_text().splitlines()
    return sorted(line.split(" | ")[0].removeprefix("| ") for line in lines if line.startswith("| edged_"))


def check_sums(folder: Path) -> list[str]:
    """The files whose checksums are right."""
    done = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=folder, capture_output=True, text=True, check=True)
    return sorted(line.removesuffix(": OK") for line in done.stdout.splitlines())


def test_release_of_both_architectures_has_packages_wheelhouses_sums_and_a_page(deploy: Path, tmp_path: Path) -> None:
    out = tmp_path / "dist"
    assert release(deploy, out).returncode == 0
    files = [f"edged_1.2.3_{arch}{end}" for arch in ("amd64", "arm64") for end in ("-wheelhouse.tar", ".deb")]
    assert names(out) == ["SHA256SUMS", *files, "index.md"]
    assert rows(out) == files
    assert check_sums(out) == [*files, "index.md"]
    for arch, locks in LOCKS.items():
        with tarfile.open(out / f"edged_1.2.3_{arch}-wheelhouse.tar") as tar:
            packed = {Path(name).name for name in tar.getnames()}
        assert {*locks, "edged-1.2.3-py3-none-any.whl"} <= packed
        content = subprocess.run(
            ["dpkg-deb", "-c", out / f"edged_1.2.3_{arch}.deb"], capture_output=True, text=True, check=True
        )
        assert all(f"/usr/lib/edged/wheelhouse/{lock}" in content.stdout for lock in locks)
        assert "/usr/share/doc/edged/copyright" in content.stdout


def test_page_says_what_each_file_is_for_and_what_it_was_made_from(deploy: Path, tmp_path: Path) -> None:
    assert release(deploy, tmp_path / "dist", "arm64").returncode == 0
    page = (tmp_path / "dist" / "index.md").read_text()
    assert "Jetson" in page
    assert "x86-64" not in page
    assert "commit unknown" in page  # the scripts lie in no repository here


def test_second_architecture_of_a_version_joins_the_first_and_older_versions_are_not_listed(
    deploy: Path, tmp_path: Path
) -> None:
    out = tmp_path / "dist"
    for version, arch in (("1.2.2", "arm64"), ("1.2.3", "arm64"), ("1.2.3", "amd64")):
        assert release(deploy, out, arch, version=version).returncode == 0
    assert {name.split("_")[1] for name in rows(out)} == {"1.2.3"}
    assert len(rows(out)) == 4
    assert (out / "edged_1.2.2_arm64.deb").exists()


@pytest.mark.parametrize("arguments", [[], ["dist", "riscv64"]])
def test_wrong_usage_is_answered_with_what_is_wanted(arguments: list[str], deploy: Path, tmp_path: Path) -> None:
    where: list[str | Path] = [tmp_path / name for name in arguments[:1]]
    done = release(deploy, *where, *arguments[1:])
    assert done.returncode == 2
    assert "arm64" in done.stderr
    assert not list(tmp_path.glob("dist/edged_*"))


def test_key_is_found_from_where_the_release_is_made(deploy: Path, tmp_path: Path) -> None:
    gone = release(deploy, "dist", "amd64", key="site")
    assert (gone.returncode, list(tmp_path.glob("dist/*"))) == (2, [])
    new_key(tmp_path)
    assert release(deploy, "dist", "amd64", key="site").returncode == 0
    assert (tmp_path / "dist/SHA256SUMS.sig").exists()
