"""Signed releases: which is newest, and that nothing is taken from one that was changed."""

from __future__ import annotations

import hashlib
import random
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from edged.errors import NotTrusted
from edged.provisioning.release import SIGNATURE, SUMS, find_release, obtain, package_version, parse_sums, version_key
from edged.provisioning.signature import RELEASE, STICK, signer_lines
from engines.errors import SourceError
from tests.support.raising import raises_code
from tests.support.signing import new_key, public, sign
from tests.support.versions import IN_ORDER

SORTED = [*IN_ORDER, "1.0.9", "1.0.10", "1.1", "2.0rc1"]


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return new_key(tmp_path_factory.mktemp("key"))


@pytest.fixture
def release(tmp_path: Path, key: Path) -> Path:
    """A folder with a candidate, its release, and one for another architecture."""
    folder = tmp_path / "release"
    folder.mkdir()
    for name in ("edged_1.0~rc2_amd64.deb", "edged_1.0_amd64.deb", "edged_2.0_arm64.deb", "index.md"):
        (folder / name).write_text(name)
    resign(folder, key)
    return folder


def resign(folder: Path, key: Path, namespace: str = RELEASE) -> None:
    files = sorted(path for path in folder.iterdir() if not path.name.startswith(SUMS))
    sums = "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files).encode()
    (folder / SUMS).write_bytes(sums)
    (folder / SIGNATURE).write_bytes(sign(sums, key, namespace))


@pytest.fixture
def keys(key: Path) -> list[str]:
    return signer_lines(public(key), "")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


def test_wanted_version_is_taken_or_nothing(release: Path, keys: list[str], work: Path) -> None:
    assert find_release(str(release), "amd64", keys, work, "1.0~rc2").file == "edged_1.0~rc2_amd64.deb"
    with raises_code(NotTrusted, "none"):
        find_release(str(release), "amd64", keys, work, "2.0")


def test_newest_signed_release_is_taken(release: Path, keys: list[str], work: Path) -> None:
    found = find_release(str(release), "amd64", keys, work)
    assert (found.version, found.key[:7]) == ("1.0", "SHA256:")
    assert obtain(str(release), found, work).read_text() == "edged_1.0_amd64.deb"


def test_release_for_another_architecture_is_none(release: Path, keys: list[str], work: Path) -> None:
    with raises_code(NotTrusted, "none"):
        find_release(str(release), "riscv64", keys, work)


def test_package_that_was_changed_is_refused_and_not_kept(release: Path, keys: list[str], work: Path) -> None:
    found = find_release(str(release), "amd64", keys, work)
    (release / found.file).write_text("evil")
    with raises_code(NotTrusted, "wrong-hash"):
        obtain(str(release), found, work)
    assert not (work / found.file).exists()


def test_package_that_is_a_link_is_refused(release: Path, keys: list[str], work: Path) -> None:
    found = find_release(str(release), "amd64", keys, work)
    (release / found.file).unlink()
    (release / found.file).symlink_to("/etc/passwd")
    with pytest.raises(SourceError, match="no such file"):
        obtain(str(release), found, work)


@pytest.mark.parametrize("how", ["unsigned", "another key", "a stick's", "sums changed", "no sums"])
def test_release_without_a_right_signature_is_refused(
    how: str, release: Path, key: Path, keys: list[str], tmp_path: Path
) -> None:
    if how == "unsigned":
        (release / SIGNATURE).unlink()
    elif how == "another key":
        resign(release, new_key(tmp_path, "other"))
    elif how == "a stick's":
        resign(release, key, STICK)
    elif how == "sums changed":
        (release / SUMS).write_text((release / SUMS).read_text().replace("1.0", "1.1"))
    else:
        (release / SUMS).unlink()
    with pytest.raises(NotTrusted):
        find_release(str(release), "amd64", keys, tmp_path)


@pytest.mark.parametrize("source", ["http://mirror.example.org/edged", "file:///srv/edged", "ftp://h/x"])
def test_mirror_must_be_https(source: str, keys: list[str], work: Path) -> None:
    with pytest.raises(NotTrusted, match="begins with https://"):
        find_release(source, "amd64", keys, work)


def test_versions_sort_as_python_and_dpkg_sort_them() -> None:
    versions = [package_version(version) for version in SORTED]
    for older, newer in pairwise(versions):
        assert version_key(older) < version_key(newer), (older, newer)
        if shutil.which("dpkg"):
            command = ["dpkg", "--compare-versions", older, "lt", newer]
            assert subprocess.run(command, check=False).returncode == 0


def test_hostile_sums_are_refused_or_name_plain_files() -> None:
    rng = random.Random(22)
    line = f"{'a' * 64}  edged_1.0_amd64.deb"
    for _ in range(300):
        text = list(f"{line}\n{line.replace('1.0', '1.1')}\n")
        for _ in range(rng.randrange(4)):
            text[rng.randrange(len(text))] = rng.choice(["/", "..", "\x1b", " ", "\n", "A", "\x00", "~", "-"])
        try:
            names = parse_sums("".join(text).encode())
        except NotTrusted:
            continue
        assert all("/" not in name and not name.startswith((".", "-")) for name in names)
