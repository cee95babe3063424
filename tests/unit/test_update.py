"""The unit that installs a release: what is told of it when it fails, ends by a signal, or does not end."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from edged.commands.update import INSTALL_LIMIT_S, install_by_unit


@pytest.mark.parametrize(("ended", "code"), [(0, 0), (1, 1), (203, 1), (-15, 1)])
def test_code_of_the_unit_is_that_of_the_command(monkeypatch: pytest.MonkeyPatch, ended: int, code: int) -> None:
    asked: list[str] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        asked.extend(command)
        return subprocess.CompletedProcess(command, ended, "said")

    monkeypatch.setattr(subprocess, "run", run)
    assert install_by_unit(Path("/opt/x")) == (code, "said")
    assert f"--property=RuntimeMaxSec={INSTALL_LIMIT_S:g}" in asked


def test_installation_that_does_not_end_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], *, timeout: float, **_: object) -> subprocess.CompletedProcess[str]:
        assert timeout > INSTALL_LIMIT_S  # systemd ends the unit before
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(subprocess, "run", run)
    code, said = install_by_unit(Path("/opt/x"))
    assert code == 1
    assert "journalctl -u edged-update-install" in said
