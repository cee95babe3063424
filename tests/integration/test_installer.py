"""What the installer refuses before it does anything: no root, no network, and no file of this machine is touched."""

from __future__ import annotations

import platform
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.signing import new_key

DEPLOY = Path(__file__).parents[2] / "deploy"


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A wheelhouse for this machine, of which nothing is installed here."""
    if shutil.which("systemctl") is None or not Path("/usr/bin/python3").exists():
        pytest.skip("needs systemd's systemctl and the system's Python")
    if subprocess.run(["/usr/bin/python3", "-c", "import venv"], check=False, capture_output=True).returncode:
        pytest.skip("python3-venv is missing")
    version = "import sys; print('%d.%d' % sys.version_info[:2])"
    python = subprocess.run(
        ["/usr/bin/python3", "-c", version], capture_output=True, text=True, check=True
    ).stdout.strip()
    folder = tmp_path / "house"
    folder.mkdir()
    (folder / f"plain-{platform.machine()}-{python}.txt").write_text("demo==1.0\n")
    for name in ("demo-1.0-py3-none-any.whl", "edged-0.1.0-py3-none-any.whl"):
        (folder / name).write_text(name)
    listed(folder)
    return folder


def listed(folder: Path) -> None:
    subprocess.run(["sh", "-c", "sha256sum *.whl *.txt > SHA256SUMS"], check=True, cwd=folder)


def explain(*words: str | Path, cwd: Path | None = None) -> tuple[int, str]:
    command = ["sh", DEPLOY / "install.sh", "--explain", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, cwd=cwd)
    return done.returncode, done.stdout + done.stderr


def test_whole_wheelhouse_is_accepted(house: Path) -> None:
    code, said = explain("--wheelhouse", house)
    assert (code, "1. Release 0.1.0-" in said) == (0, True), said


def test_missing_wheelhouse_is_an_error(tmp_path: Path) -> None:
    code, said = explain("--wheelhouse", tmp_path / "none")
    assert (code, "none: no such folder" in said) == (1, True)


@pytest.mark.parametrize("name", ["demo-1.0-9-py3-none-any.whl", "sub/x.whl", "link.whl"])
def test_file_that_is_not_listed_is_refused(name: str, house: Path) -> None:
    (house / name).parent.mkdir(exist_ok=True)
    if name == "link.whl":
        (house / name).symlink_to("demo-1.0-py3-none-any.whl")
    else:
        (house / name).write_text("evil")
    code, said = explain("--wheelhouse", house)
    assert (code, "not in SHA256SUMS: " in said) == (1, True), said


def test_listed_file_that_was_changed_is_refused(house: Path) -> None:
    (house / "demo-1.0-py3-none-any.whl").write_text("evil")
    code, said = explain("--wheelhouse", house)
    assert (code, "is damaged" in said) == (1, True)


def test_wheelhouse_must_be_signed_by_the_key_that_is_given(house: Path, tmp_path: Path) -> None:
    key, other = new_key(tmp_path), new_key(tmp_path, "other")
    given = ("--wheelhouse", house, "--key", f"{key}.pub")
    assert "is not signed, and this box takes only what is" in explain(*given)[1]
    subprocess.run([DEPLOY / "sign", "release", other, house], check=True, capture_output=True)
    assert "is not signed by a key of this box" in explain(*given)[1]
    subprocess.run([DEPLOY / "sign", "release", key, house], check=True, capture_output=True)
    code, said = explain(*given)
    assert code == 0, said


def test_nothing_is_imported_from_the_current_folder(house: Path, tmp_path: Path) -> None:
    for name in ("venv", "sys", "systemd", "os", "site"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    assert explain("--wheelhouse", house, cwd=tmp_path)[0] == 0
    assert not (tmp_path / "ran").exists()
