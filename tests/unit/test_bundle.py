"""One file configures a device: its secrets are readable by root only, the rest is configuration."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from edged.config.load import load
from edged.config_check import checked_config
from edged.errors import ConfigError, NotWritten
from edged.provisioning.bundle import bundle_layers, install, read_bundle
from tests.support.raising import raises_code

PEM = "-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----\n"
FILE = f'''\
[device]
id = "barn-east"

[mqtt]
host = "192.168.20.2"
port = 8884
username = "barn-east"
password = "s3cret"

[mqtt.tls]
enabled = true
ca = """
{PEM}"""
cert = "east.pem"
key = "east.key"

[cameras.stall1]
source = "rtsp://me:hidden@192.168.20.11/a"
roi = [0, 140, 1280, 720]

[cameras.stall3]
source = "rtsps://192.168.20.13/a"
ca = "east.pem"

[cameras.stall1.track]
max_age_s = 10

[cameras.stall2]
source = "rtsp://192.168.20.12/a"
password = 'a "quoted" one'
'''
SECRETS = ("s3cret", "hidden", "quoted", "BEGIN")


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    (tmp_path / "stick").mkdir()
    for name in ("east.pem", "east.key"):
        (tmp_path / "stick" / name).write_text(PEM)
    file = tmp_path / "stick" / "east.toml"
    file.write_text(FILE)
    return file


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


def credentials(root: Path) -> Path:
    return root / "etc" / "edged" / "credentials"


def refusal(file: Path, root: Path, tmp_path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        checked_config(bundle_layers(read_bundle(file), root, tmp_path))
    return str(caught.value)


def test_installed_bundle_loads_as_its_file_says(stick: Path, root: Path) -> None:
    install(read_bundle(stick), root)
    config = load(env={}, etc=root / "etc" / "edged")
    assert (config.device.id, config.mqtt.port, config.mqtt.password.get_secret_value()) == (
        "barn-east",
        8884,
        "s3cret",
    )
    assert config.cameras["stall1"].source.reveal() == "rtsp://me:hidden@192.168.20.11/a"
    assert config.cameras["stall1"].track.max_age_s == 10
    assert config.cameras["stall2"].password.get_secret_value() == 'a "quoted" one'
    files = config.mqtt.tls.ca, config.mqtt.tls.key, config.cameras["stall3"].ca
    assert all(path and path.read_text().startswith(PEM) for path in files)


def test_secrets_are_readable_by_root_only(stick: Path, root: Path) -> None:
    for path in install(read_bundle(stick), root):
        secret = path.parent == credentials(root)
        assert stat.S_IMODE(path.stat().st_mode) == (0o600 if secret else 0o644)
        assert secret or not any(word in path.read_text() for word in SECRETS)
    assert stat.S_IMODE(credentials(root).stat().st_mode) == 0o700


def test_drop_in_loads_every_credential(stick: Path, root: Path) -> None:
    drop_in = install(read_bundle(stick), root)[-1].read_text().splitlines()
    handed_over = dict(line.removeprefix("LoadCredential=").split(":", 1) for line in drop_in[2:])
    assert handed_over == {path.name: f"/etc/edged/credentials/{path.name}" for path in credentials(root).iterdir()}


def test_second_bundle_removes_the_first(stick: Path, root: Path) -> None:
    install(read_bundle(stick), root)
    stick.write_text('[mqtt]\nusername = "x"\npassword = "other"\n')
    install(read_bundle(stick), root)
    assert [path.name for path in credentials(root).iterdir()] == ["mqtt.password"]
    assert not load(env={}, etc=root / "etc" / "edged").cameras


def test_empty_password_gives_no_credential(stick: Path, root: Path) -> None:
    stick.write_text('[cameras.a]\nsource = "csi:0"\npassword = ""\n')
    assert not read_bundle(stick).credentials


def test_bundle_overrides_the_site_and_a_technician_overrides_the_bundle(
    stick: Path, root: Path, tmp_path: Path
) -> None:
    etc = root / "etc" / "edged"
    (etc / "conf.d").mkdir(parents=True)
    (etc / "edged.toml").write_text('[mqtt]\nport = 1\nbase_topic = "farm"\n')
    (etc / "conf.d" / "90-local.toml").write_text('[mqtt]\nhost = "10.0.0.9"\n')
    config = checked_config(bundle_layers(read_bundle(stick), root, tmp_path))
    assert (config.mqtt.base_topic, config.mqtt.port, config.mqtt.host) == ("farm", 8884, "10.0.0.9")


def test_error_names_the_line_without_the_secret(stick: Path, root: Path, tmp_path: Path) -> None:
    stick.write_text(FILE.replace("port = 8884", "port = 88840"))
    assert refusal(stick, root, tmp_path) == f"{stick}:6 mqtt.port = 88840: must be 1..65535; lower it"
    stick.write_text(FILE.replace('"s3cret"', '"s3cret"\nhots = "s3cret"'))
    assert "s3cret" not in refusal(stick, root, tmp_path)


def test_missing_certificate_is_reported(stick: Path) -> None:
    (stick.parent / "east.key").unlink()
    with raises_code(ConfigError, "no-pem"):
        read_bundle(stick)


def test_unwritable_path_is_reported(stick: Path, root: Path) -> None:
    (root / "etc").write_text("in the way")
    with raises_code(NotWritten, "unwritable"):
        install(read_bundle(stick), root)


def test_named_file_gets_no_credentials_of_the_site(stick: Path, root: Path) -> None:
    install(read_bundle(stick), root)
    etc = root / "etc" / "edged"
    (etc / "other.toml").write_text("")
    assert not load(etc / "other.toml", env={}, etc=etc).mqtt.password.get_secret_value()
