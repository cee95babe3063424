"""A stick whose file is nearly rightly named gets a report; one without such a file stays untouched. Real mounts."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

STICK = Path(__file__).parents[2] / "deploy" / "systemd" / "stick"
REPORT = "edged-provision.report.txt"
Plug = Callable[..., tuple[int, str, dict[str, str]]]


@pytest.fixture
def plug(tmp_path: Path) -> Iterator[Plug]:
    """Runs the script on a stick with these files: exit code, journal, and the files that are new on the stick."""
    if os.geteuid() != 0 or shutil.which("losetup") is None:
        pytest.skip("needs root and losetup")
    devices: list[str] = []
    edged = tmp_path / "bin" / "edged"
    edged.parent.mkdir()
    edged.write_text("#!/bin/sh\necho applied\n")
    edged.chmod(0o755)

    def run(*names: str) -> tuple[int, str, dict[str, str]]:
        tree, image = tmp_path / "tree", tmp_path / "stick.img"
        for name in names:
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_text("x")
        if names:
            subprocess.run(["mkfs.ext4", "-q", "-d", tree, image, "4M"], check=True, capture_output=True)
        else:
            image.write_bytes(bytes(1 << 20))
        found = subprocess.run(["losetup", "--find", "--show", image], capture_output=True, text=True, check=False)
        if found.returncode:
            pytest.skip("no loop device here")
        devices.append(found.stdout.strip())
        script = subprocess.run(
            ["sh", STICK, devices[-1], tmp_path / "run", edged], capture_output=True, text=True, timeout=60, check=False
        )
        return script.returncode, script.stdout, _new_files(Path(devices[-1]), tmp_path / "look", names)

    yield run
    for device in devices:
        subprocess.run(["losetup", "--detach", device], check=True)


def _new_files(device: Path, at: Path, names: tuple[str, ...]) -> dict[str, str]:
    if not names:
        return {}
    at.mkdir()
    subprocess.run(["mount", "-o", "ro", device, at], check=True)
    try:
        paths = [path for path in at.rglob("*") if path.is_file()]
        return {str(path.relative_to(at)): path.read_text() for path in paths if str(path.relative_to(at)) not in names}
    finally:
        subprocess.run(["umount", at], check=True)


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("edged-provision.toml.txt", "Windows hides .txt"),
        ("Edged_Provision (1).TOML", "its name must be edged-provision.toml"),
        ("edged provision", "its name must be edged-provision.toml"),
        ("settings/edged-provision.toml", "move it to the top of the stick"),
    ],
)
def test_nearly_right_name_gets_a_report_on_the_stick(name: str, cure: str, plug: Plug) -> None:
    code, journal, new = plug(name)
    assert code == 1
    assert f"found {name}: " in journal
    assert list(new) == [REPORT]
    assert f"found {name}: " in new[REPORT]
    assert cure in new[REPORT]


def test_right_name_is_applied_whatever_else_is_there(plug: Plug) -> None:
    code, journal, new = plug("edged-provision.toml", "edged-provision.toml.txt")
    assert code == 0
    assert "found" not in journal
    assert "applied" in new[REPORT]


def test_stick_of_something_else_stays_untouched(plug: Plug) -> None:
    assert plug("edged-provisioning-guide.pdf", REPORT, "photos/edged.jpg") == (0, "", {})


def test_unreadable_file_system_is_named_in_the_journal(plug: Plug) -> None:
    code, journal, _ = plug()
    assert code == 0
    assert "unknown file system: cannot be read here" in journal
    assert "format it as FAT32" in journal
