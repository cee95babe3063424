"""Sticks with real file systems: what is mounted and written, and what a file with nearly the right name is told."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edged.commands.apply_stick import apply_stick
from edged.provisioning.signature import signer_lines, trust
from edged.provisioning.stick import REPORT, mounted
from edged.runtime import systemd
from tests.support.signing import new_key, public, sign
from tests.support.systemd_service import Service

SETTINGS = b'[device]\nid = "new"\n[cameras.b]\nsource = "csi:1"\n'
Plug = Callable[..., tuple[int, str, dict[str, str]]]


@pytest.fixture
def plug(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Plug]:
    """Plugs in a stick with this tree: exit code, journal, and the files that are new on the stick."""
    if os.geteuid() != 0 or shutil.which("losetup") is None:
        pytest.skip("needs root and losetup")
    monkeypatch.setattr(systemd, "Service", lambda: Service(running=False))
    devices: list[str] = []
    (tmp_path / "root").mkdir()

    def run(**files: bytes | str) -> tuple[int, str, dict[str, str]]:
        tree, image = tmp_path / "tree", tmp_path / "stick.img"
        for name, content in files.items():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, str):
                (tree / name).symlink_to(content)
            else:
                (tree / name).write_bytes(content)
        if files:
            subprocess.run(["mkfs.ext4", "-q", "-d", tree, image, "4M"], check=True, capture_output=True)
        else:
            image.write_bytes(bytes(1 << 20))
        found = subprocess.run(["losetup", "--find", "--show", image], capture_output=True, text=True, check=False)
        if found.returncode:
            pytest.skip("no loop device here")
        devices.append(found.stdout.strip())
        code = apply_stick(devices[-1], tmp_path / "root", tmp_path / "at")
        return code, capsys.readouterr().out, _new_files(devices[-1], tmp_path / "at", files) if files else {}

    yield run
    for device in devices:
        subprocess.run(["losetup", "--detach", device], check=True)


def _new_files(device: str, at: Path, known: dict[str, bytes | str]) -> dict[str, str]:
    with mounted(device, at):
        new = [path for path in at.rglob("*") if path.is_file() and str(path.relative_to(at)) not in known]
        return {str(path.relative_to(at)): path.read_text() for path in new}


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("edged-provision.toml.txt", "Windows hides .txt"),
        ("Edged_Provision (1).TOML", "its name must be edged-provision.toml"),
        ("edged provision", "its name must be edged-provision.toml"),
        ("settings/edged-provision.toml", "move it to the top of the stick"),
        ("edged–provisioning.toml", "its name must be edged-provision.toml"),
        ("Edge-provision.toml", "its name must be edged-provision.toml"),
        ("edged-release.zip", "a release is a folder, edged-release"),
    ],
)
def test_nearly_right_name_gets_a_report_on_the_stick(name: str, cure: str, plug: Plug) -> None:
    code, journal, new = plug(**{name: b"x"})
    assert code == 1
    assert f"found {name}: " in journal
    assert list(new) == [REPORT]
    assert f"found {name}: " in new[REPORT]
    assert cure in new[REPORT]


def test_right_name_is_applied_whatever_else_is_there(plug: Plug, tmp_path: Path) -> None:
    code, journal, new = plug(**{"edged-provision.toml": SETTINGS, "edged-provision.toml.txt": b"x"})
    assert code == 0
    assert "found" not in journal
    assert "applied; the daemon runs with it" in new[REPORT]
    assert 'id = "new"' in (tmp_path / "root/etc/edged/conf.d/50-box.toml").read_text()


def test_stick_of_something_else_stays_untouched(plug: Plug) -> None:
    files = dict.fromkeys(("edged-provisioning-guide.pdf", REPORT, "photos/edged.jpg", "edged_1_arm64.deb"), b"x")
    files["project/pyproject.toml"] = b"x"
    assert plug(**files) == (0, "", {})


def test_unreadable_file_system_is_named_in_the_journal(plug: Plug) -> None:
    code, journal, _ = plug()
    assert code == 0
    assert "unknown file system: cannot be read here" in journal
    assert "format it as FAT32" in journal


def test_unsigned_stick_on_a_device_with_a_key_gets_a_report_and_nothing_else(plug: Plug, tmp_path: Path) -> None:
    trust(signer_lines(public(new_key(tmp_path)), ""), tmp_path / "root")
    code, _, new = plug(**{"edged-provision.toml": SETTINGS})
    assert code == 1
    assert "edged-provision.toml is not signed" in new[REPORT]
    assert sorted(path.name for path in (tmp_path / "root").rglob("*") if path.is_file()) == ["signers"]


def test_signed_stick_is_applied(plug: Plug, tmp_path: Path) -> None:
    key = new_key(tmp_path)
    trust(signer_lines(public(key), ""), tmp_path / "root")
    signature = sign(SETTINGS, key, "edged-provision")
    code, _, new = plug(**{"edged-provision.toml": SETTINGS, "edged-provision.toml.sig": signature})
    assert (code, "applied; the daemon runs with it" in new[REPORT]) == (0, True)


def test_report_on_a_stick_follows_no_link(plug: Plug, tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("mine")
    code, _, _ = plug(**{"edged-provision.toml": b"version = '$(touch was-run)'", REPORT: str(tmp_path / "victim")})
    assert code == 2
    assert (tmp_path / "victim").read_text() == "mine"


def test_links_on_a_stick_lead_nowhere(plug: Plug, tmp_path: Path) -> None:
    plug(link=str(tmp_path))
    image = tmp_path / "stick.img"
    found = subprocess.run(["losetup", "--find", "--show", image], capture_output=True, text=True, check=True)
    try:
        with mounted(found.stdout.strip(), tmp_path / "at"):
            (line,) = [line for line in Path("/proc/mounts").read_text().splitlines() if str(tmp_path / "at") in line]
            with pytest.raises(OSError, match="symbolic link"):
                (tmp_path / "at" / "link" / "stick.img").read_bytes()
    finally:
        subprocess.run(["losetup", "--detach", found.stdout.strip()], check=True)
    assert {"ro", "nosuid", "nodev", "noexec", "nosymfollow"} <= set(line.split()[3].split(","))
