"""`edged update --desired`: what root believes of a file that the daemon, which is not privileged, has left."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import pytest

from edged.commands import apply_desired as module
from edged.commands.apply_desired import apply_desired
from edged.config.tree import Config
from edged.errors import ConfigError, NotTrusted
from edged.provisioning.desired import Desired, seal
from edged.provisioning.signature import signer_lines
from tests.support.signing import new_key, public


class Root:
    """Root's side without dpkg and systemd: what was asked to be installed."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.key, self.file, self.state = new_key(folder), folder / "desired.json", folder / "state"
        self.staged: list[tuple[str, Any]] = []
        self.found, self.code = True, 0
        tables = {"fleet": {"group": "barns"}, "update": {"source": "/mirror"}}
        self.config = Config.model_validate(tables)
        monkeypatch.setattr(module, "STATE", self.state)
        monkeypatch.setattr(module, "INCOMING", folder)
        monkeypatch.setattr(module, "load", lambda _: self.config)
        monkeypatch.setattr(module, "signers", lambda _: signer_lines(public(self.key), "site.pub"))
        monkeypatch.setattr(module, "stage", self._stage)
        monkeypatch.setattr(module, "install_by_unit", lambda folder, **options: (self.code, "the unit's words\n"))

    def _stage(self, source: str, folder: Path, **options: Any) -> bool:
        self.staged.append((source, options["wanted"]))
        return self.found

    def apply(self, number: int, *, key: Path | None = None, **wishes: Any) -> int:
        wanted = Desired(**{"group": "barns", "number": number, "version": "2.0", **wishes})
        self.file.write_bytes(seal(wanted, key or self.key))
        return apply_desired(self.file)

    def refuses(self, why: str, number: int, **message: Any) -> bool:
        """Whether the daemon is told so, about this message."""
        code, result = self.apply(number, **message), self.result
        return code == 1 and result["number"] == number and why in result["error"]

    @property
    def result(self) -> Any:
        return json.loads((self.state / "result.json").read_text())


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Root:
    return Root(tmp_path, monkeypatch)


def test_wanted_version_is_installed_and_the_request_is_gone(root: Root) -> None:
    assert root.apply(3) == 0
    assert (root.staged, root.file.exists()) == ([("/mirror", "2.0")], False)
    assert not (root.state / "result.json").exists()


def test_failure_is_left_for_the_daemon(root: Root) -> None:
    root.code = 1
    assert root.apply(3) == 1
    assert root.result == {"number": 3, "error": "the unit's words"}
    root.config = Config.model_validate({"fleet": {"group": "barns"}})
    assert root.apply(4) == 1
    assert root.result["number"] == 4
    assert "update.source is not set" in root.result["error"]


def test_full_disk_is_answered(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "TemporaryDirectory", full)
    assert root.refuses("No space left on device", 3)


def test_older_message_brings_no_older_version_back(root: Root) -> None:
    root.apply(3)
    assert root.refuses("older than 3", 2, version="1.0")
    assert root.apply(3) == 0  # again, as after a power cut
    assert root.refuses("another message with this number", 3, version="1.0")
    (root.state / "numbers.json").write_text('{"barns": 5}')  # of an earlier version
    assert root.refuses("older than 5", 4)
    assert root.apply(5) == 0
    assert root.refuses("another message with this number", 5, version="1.0")
    assert root.staged == [("/mirror", "2.0")] * 3


def test_what_nobody_signed_or_is_for_others_installs_nothing(root: Root, tmp_path: Path) -> None:
    assert root.refuses("signature is not by a key", 3, key=new_key(tmp_path, "other"))
    assert root.refuses("for the group yards", 3, group="yards")
    assert root.refuses("wants no version", 3, version=None)
    target = tmp_path / "shadow"
    target.write_bytes(seal(Desired(group="barns", number=3, version="2.0"), root.key))
    root.file.symlink_to(target)
    with pytest.raises(NotTrusted, match=r"desired\.json: "):
        apply_desired(root.file)
    assert target.exists()
    assert not root.file.is_symlink()
    root.file.unlink(missing_ok=True)
    root.file.mkdir()
    with pytest.raises(NotTrusted, match="no plain file"):
        apply_desired(root.file)
    assert not root.staged


def test_request_is_gone_and_answered_where_the_configuration_is_wrong(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(_: object) -> Config:
        raise ConfigError("edged.toml:1: wrong")

    monkeypatch.setattr(module, "load", wrong)
    assert root.refuses("edged.toml:1: wrong", 3)
    assert not root.file.exists()
