"""Settings from a USB stick: applied whole or not at all, once, and rolled back when the daemon does not start."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from edged.__main__ import main
from edged.errors import NotWritten
from edged.provisioning.bundle import (
    PENDING,
    SNAPSHOT,
    Bundle,
    bundle_files,
    finish_pending,
    install,
    installed_files,
    read_bundle,
)
from edged.runtime import systemd
from tests.support.raising import raises_code
from tests.support.systemd_service import Service

OLD = '[device]\nid = "old"\n[mqtt]\nusername = "old"\npassword = "older"\n[cameras.a]\nsource = "csi:0"\n'
OLD += 'password = "x"\n'
NEW = '[device]\nid = "new"\n[mqtt]\nusername = "new"\npassword = "newer"\n[cameras.b]\nsource = "csi:1"\n'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A device configured from OLD."""
    (tmp_path / "root").mkdir()
    install(bundle(tmp_path, OLD), tmp_path / "root")
    return tmp_path / "root"


@pytest.fixture
def once(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    def plug_in(text: str, service: Service) -> int:
        monkeypatch.setattr(systemd, "Service", lambda: service)
        bundle(tmp_path, text)
        return main(["provision", "--once", str(tmp_path / "box.toml"), "--root", str(root)])

    return plug_in


def bundle(folder: Path, text: str) -> Bundle:
    (folder / "box.toml").write_text(text)
    return read_bundle(folder / "box.toml")


class PowerCut(BaseException):
    pass


def test_power_cut_at_any_write_leaves_old_or_completable_settings(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = installed_files(root), dict(bundle_files(bundle(tmp_path, NEW)))
    replace_file, unlink = os.replace, Path.unlink
    left = 0

    def one_more() -> bool:
        nonlocal left
        left -= 1
        if left < 0:
            raise PowerCut
        return True

    monkeypatch.setattr(os, "replace", lambda *names: one_more() and replace_file(*names))
    monkeypatch.setattr(Path, "unlink", lambda path, **how: one_more() and unlink(path, **how))
    outcomes = []
    for survived in range(20):
        left = 100
        install(bundle(tmp_path, OLD), root)
        left = survived
        try:
            install(bundle(tmp_path, NEW), root)
        except PowerCut:
            left = 100
            finish_pending(root)  # as at the next boot
        outcomes.append(installed_files(root))
    assert outcomes[0] == old
    assert outcomes[1:] == [new] * 19
    assert left > 0  # the last of them went through without a cut


def test_pending_file_is_the_condition_of_the_finishing_unit(root: Path) -> None:
    unit = Path(__file__).parents[2] / "deploy" / "systemd" / "edged-provision.service"
    assert f"ConditionPathExists=/{PENDING}\n" in unit.read_text()
    assert not (root / PENDING).exists()
    assert main(["provision", "--finish", "--root", str(root)]) == 0


def test_stick_is_applied_once_unless_its_file_changes(
    once: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    service = Service()
    assert [once(NEW, service), once(NEW, service), service.starts] == [0, 0, 1]
    output = capsys.readouterr().out
    assert output.startswith("new: broker 127.0.0.1:1883; cameras: b\napplied; the daemon runs with it\n1 of 1 cameras")
    assert output.endswith(
        "this file was applied before; nothing is done. To apply it again, change it, for example a comment\n"
    )
    assert (once(f"# again\n{NEW}", service), service.starts) == (0, 2)


def test_failed_start_restores_the_previous_settings_for_good(
    once: Callable[..., int], root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, service = installed_files(root), Service("no such model")
    assert (once(NEW, service), service.starts, installed_files(root)) == (1, 2, old)
    output = capsys.readouterr().out
    assert "the daemon does not start with it:\nno such model\n" in output
    assert output.endswith("the previous settings are restored\n")
    assert (once(NEW, service), service.starts) == (0, 2)  # as at the next boot, with the stick still there


def test_failed_settings_are_never_restored(once: Callable[..., int], root: Path) -> None:
    old = installed_files(root)
    assert once(NEW, Service()) == 0  # OLD was running: it is kept
    assert once(NEW.replace("new", "worse"), Service("no", running=False)) == 1  # NEW was not, by now
    assert installed_files(root) == old


def test_first_settings_stay_even_if_the_daemon_fails(
    once: Callable[..., int], root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert once(NEW, Service("no", running=False)) == 1
    assert 'id = "new"' in (root / "etc/edged/conf.d/50-box.toml").read_text()
    assert "previous" not in capsys.readouterr().out


def test_invalid_file_changes_nothing_and_restarts_nothing(
    once: Callable[..., int], root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, service = installed_files(root), Service()
    assert (once(NEW.replace("csi:1", ""), service), service.starts, installed_files(root)) == (2, 0, old)
    assert "box.toml:7 cameras.b.source" in capsys.readouterr().err


def test_back_option_restores_the_previous_settings(once: Callable[..., int], root: Path) -> None:
    old = installed_files(root)
    assert main(["provision", "--back", "--root", str(root)]) == 1
    once(NEW, Service())
    assert (main(["provision", "--back", "--root", str(root)]), installed_files(root)) == (0, old)


def test_snapshot_is_readable_by_root_only(once: Callable[..., int], root: Path) -> None:
    once(NEW, Service())
    folder = (root / SNAPSHOT).parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_damaged_pending_file_is_reported(root: Path) -> None:
    (root / PENDING).write_text('{"files": {"a"')
    with raises_code(NotWritten, "damaged"):
        finish_pending(root)


def test_credentials_of_somebody_else_stay(once: Callable[..., int], root: Path) -> None:
    own = root / "etc/edged/credentials/cameras.b.password"
    own.write_bytes(b"\xffnot UTF-8\n")
    assert once(NEW.replace('password = "newer"\n', ""), Service()) == 0
    assert own.read_bytes() == b"\xffnot UTF-8\n"
    assert not (root / "etc/edged/credentials/mqtt.password").exists()


def test_shipped_example_has_every_secret(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example = Path(__file__).parents[2] / "configs/edged-provision.toml"
    assert main(["provision", "--check", str(example), "--root", str(tmp_path)]) == 0
    told, *remarks = capsys.readouterr().out.splitlines()
    assert told == "barn-east: broker 192.168.20.2:8883; cameras: stall-1, stall-2"
    passwords = ("mqtt", "cameras.stall-1", "cameras.stall-2")
    want = [f"{name}.password: looks like a variable or a placeholder" for name in passwords]
    assert [line.split(" ", 2)[2].partition(",")[0] for line in remarks] == want, "to be replaced"


@pytest.mark.parametrize("text", ["", "# mqtt.host = 'x'\n"])
def test_file_without_settings_does_not_remove_those_of_before(
    text: str, once: Callable[..., int], root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, service = installed_files(root), Service()
    assert once(text, service) == 2
    assert "box.toml: holds no settings, and would remove those of before" in capsys.readouterr().err
    assert installed_files(root) == before


def test_user_name_without_password_is_remarked_upon(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    barn = Path(__file__).parents[2] / "configs/barn.toml"
    assert main(["provision", "--check", str(barn), "--root", str(tmp_path)]) == 0
    assert 'cameras.stall-1.username = "edged": has no password' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("camera", "error"),
    [("a", "3 cameras.a.ca: "), ('"a/b"', '1 cameras."a/b": '), (f'"{"a" * 300}"', "1 cameras.aaa")],
    ids=["no certificate", "no file's name", "long name"],
)
def test_certificate_of_a_camera_that_cannot_be_is_refused(
    camera: str, error: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "box.toml"
    pem = "-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----"
    file.write_text(f'[cameras.{camera}]\nsource = "rtsps://10.0.0.1/a"\nca = """\n{pem}"""\n')
    assert main(["provision", "--check", str(file), "--root", str(tmp_path)]) == 2
    assert f"{file}:{error}" in capsys.readouterr().err
