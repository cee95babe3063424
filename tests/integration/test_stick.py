"""A stick's files: whose settings are taken, and that nothing hostile on it is followed, waited for or written over."""

from __future__ import annotations

import os
import random
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from edged.commands.apply_stick import settings_code
from edged.errors import NotTrusted, NotWritten
from edged.provisioning.bundle import install, installed_files, read_bundle
from edged.provisioning.signature import STICK, signer_lines, signers, trust
from edged.provisioning.stick import (
    MAX_REPORT_BYTES,
    PUBLIC_KEY,
    REPORT,
    SETTINGS,
    SIGNATURE,
    StickFiles,
    read_stick,
    write_report,
)
from edged.runtime import systemd
from tests.support.raising import raises_code
from tests.support.signing import new_key, public, sign
from tests.support.systemd_service import Service

NEW = b'[device]\nid = "new"\n[cameras.b]\nsource = "csi:1"\n'
OLD = '[device]\nid = "old"\n[cameras.a]\nsource = "csi:0"\n'
HOSTILE = 240


@pytest.fixture(autouse=True)
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    service = Service(running=False)
    monkeypatch.setattr(systemd, "Service", lambda: service)
    return service


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return new_key(tmp_path_factory.mktemp("key"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


def stick(settings: bytes = NEW, signature: bytes | None = None, public_key: bytes | None = None) -> StickFiles:
    return StickFiles(settings=settings, signature=signature, public_key=public_key, nearly=(), has_release=False)


def provisioned(root: Path) -> None:
    (root.parent / "box.toml").write_text(OLD)
    install(read_bundle(root.parent / "box.toml"), root)


def device(root: Path) -> str:
    return (root / "etc/edged/conf.d/50-box.toml").read_text()


def test_first_stick_is_taken_unsigned_and_a_second_one_is_not(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert settings_code(stick(), root) == 0
    assert "this device has no key: it takes no further stick" in capsys.readouterr().out
    assert settings_code(stick(NEW.replace(b"new", b"newer")), root) == 1
    assert "edged trust KEY.pub" in capsys.readouterr().out
    assert 'id = "new"' in device(root)


def test_first_stick_that_does_not_start_may_be_corrected(root: Path, service: Service) -> None:
    service.failures = ["no such model"]
    assert settings_code(stick(), root) == 1
    assert not service.failures
    assert settings_code(stick(NEW.replace(b"new", b"better")), root) == 0
    assert settings_code(stick(NEW.replace(b"new", b"third")), root) == 1


def test_first_stick_brings_the_key_that_signed_it(root: Path, key: Path) -> None:
    assert settings_code(stick(NEW, sign(NEW, key, STICK), public(key)), root) == 0
    assert signers(root) == signer_lines(public(key), "")
    assert settings_code(stick(b"# unsigned\n" + NEW), root) == 1
    later = NEW.replace(b"new", b"later")
    assert settings_code(stick(later, sign(later, key, STICK)), root) == 0
    assert 'id = "later"' in device(root)


@pytest.mark.parametrize("how", ["unsigned", "another key", "another file", "a release", "no signature"])
def test_device_with_a_key_takes_nothing_else(how: str, root: Path, key: Path, tmp_path: Path) -> None:
    provisioned(root)
    trust(signer_lines(public(key), ""), root)
    before = installed_files(root)
    other = new_key(tmp_path, "other")
    signature: dict[str, Callable[[], bytes]] = {
        "another key": lambda: sign(NEW, other, STICK),
        "another file": lambda: sign(NEW + b" ", key, STICK),
        "a release": lambda: sign(NEW, key, "edged-release"),
        "no signature": lambda: b"-----BEGIN SSH SIGNATURE-----\n",
    }
    given = signature[how]() if how in signature else None
    assert settings_code(stick(NEW, given, public(other)), root) == 1
    assert (installed_files(root), signers(root)) == (before, signer_lines(public(key), ""))


@pytest.mark.parametrize("signed", [True, False])
def test_first_stick_with_a_key_that_did_not_sign_it_is_refused(
    signed: bool, root: Path, key: Path, tmp_path: Path
) -> None:
    other = new_key(tmp_path, "other")
    assert settings_code(stick(NEW, sign(NEW, key, STICK) if signed else None, public(other)), root) == 1
    assert (signers(root), installed_files(root)) == ([], {})


def test_first_stick_that_is_not_valid_brings_no_key(root: Path, key: Path) -> None:
    wrong = NEW.replace(b"csi:1", b"")
    assert settings_code(stick(wrong, sign(wrong, key, STICK), public(key)), root) == 2
    assert signers(root) == []


def test_certificate_of_a_stick_is_text(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert settings_code(stick(NEW + b'[mqtt.tls]\nenabled = true\nca = "/etc/shadow"\n'), root) == 2
    output = capsys.readouterr().out
    assert f"{SETTINGS}:7 mqtt.tls.ca: is a path" in output
    assert "root:" not in output


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: path.symlink_to("/etc/passwd"), "want a plain file"),
        (os.mkfifo, "is no plain file"),
        (lambda path: path.mkdir(), "is no plain file"),
        (lambda path: path.write_bytes(b"#" * ((1 << 20) + 1)), "larger than 1024 kB"),
    ],
    ids=["link", "pipe", "folder", "large"],
)
def test_settings_that_are_no_plain_file_are_refused(
    make: Callable[[Path], object], reason: str, tmp_path: Path
) -> None:
    make(tmp_path / SETTINGS)
    with pytest.raises(NotTrusted, match=reason):
        read_stick(tmp_path)


@pytest.mark.parametrize("kind", ["link", "pipe", "hard link"])
def test_report_takes_the_place_of_what_is_there_and_writes_to_nothing_else(kind: str, tmp_path: Path) -> None:
    victim, at = tmp_path / "victim", tmp_path / "stick"
    victim.write_text("mine")
    at.mkdir()
    if kind == "link":
        (at / REPORT).symlink_to(victim)
    elif kind == "pipe":
        os.mkfifo(at / REPORT)
    else:
        (at / REPORT).hardlink_to(victim)
    write_report(at, "told\n" * MAX_REPORT_BYTES)
    assert victim.read_text() == "mine"
    assert [path.name for path in at.iterdir()] == [REPORT]
    assert (at / REPORT).stat().st_size == MAX_REPORT_BYTES


def test_report_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / REPORT).mkdir()
    with raises_code(NotWritten, "no-report"):
        write_report(tmp_path, "told")
    assert [path.name for path in tmp_path.iterdir()] == [REPORT]


def hostile_entry(rng: random.Random, path: Path, outside: Path) -> None:
    """One entry that a stick of a file system of Unix could have under this name."""
    kind = rng.randrange(8)
    if kind == 0:
        path.symlink_to(rng.choice([str(outside), "/etc/shadow", "/dev/zero", path.name, "../../victim"]))
    elif kind == 1:
        os.mkfifo(path)
    elif kind == 2:
        path.mkdir()
    elif kind == 3:
        path.hardlink_to(outside)
    else:
        path.write_bytes(hostile_bytes(rng))


def hostile_bytes(rng: random.Random) -> bytes:
    """Noise, or settings with a byte changed, cut off, doubled, or too deep."""
    data = bytearray(NEW)
    match rng.randrange(6):
        case 0:
            return rng.randbytes(rng.randrange(400))
        case 1:
            data[rng.randrange(len(data))] = rng.randrange(256)
        case 2:
            del data[rng.randrange(len(data)) :]
        case 3:
            return b"x = " + b"[" * 5000
        case 4:
            data += bytes(data)
        case _:
            data[0:0] = rng.choice(
                [b"\xff\xfe", b"\x00" * 9, b"\xef\xbb\xbf", b"a" * 70000 + b"=1\n", b"n = " + b"9" * 5000]
            )
    return bytes(data)


@pytest.mark.parametrize("group", range(4))
def test_hostile_stick_is_refused_without_a_trace(group: int, root: Path, key: Path, tmp_path: Path) -> None:
    provisioned(root)
    trust(signer_lines(public(key), ""), root)
    victim, before = tmp_path / "victim", installed_files(root)
    victim.write_text("mine")
    files = sorted(path for path in root.rglob("*") if path.is_file())
    rng = random.Random(group)
    for number in range(HOSTILE // 4):
        at = tmp_path / f"stick-{number}"
        at.mkdir()
        names = [SETTINGS, SIGNATURE, PUBLIC_KEY, REPORT, "edged-release", "Edged Provision\x1b[2J.toml", "\udcff.toml"]
        for name in rng.sample(names, rng.randrange(1, 6)):
            hostile_entry(rng, at / name, victim)
        try:
            found: StickFiles | NotTrusted = read_stick(at)
        except NotTrusted as refused:
            found = refused
        assert settings_code(found, root) in (0, 1)
        try:
            write_report(at, "told")
        except NotWritten:
            assert (at / REPORT).is_dir()
        else:
            assert stat.S_ISREG((at / REPORT).lstat().st_mode)
    assert victim.read_text() == "mine"
    assert installed_files(root) == before
    assert files == sorted(path for path in root.rglob("*") if path.is_file())
    assert signers(root) == signer_lines(public(key), "")


def test_hostile_settings_on_a_new_device_are_refused_or_applied_never_a_crash(root: Path) -> None:
    rng = random.Random(4)
    codes = {settings_code(stick(hostile_bytes(rng)), root) for _ in range(100)}
    assert codes <= {0, 1, 2}
    assert 2 in codes
