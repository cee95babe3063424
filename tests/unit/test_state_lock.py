"""The state directory of a daemon is held against a second one."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest

from edged.errors import StateInUse
from edged.runtime.state_lock import locked_state


def test_second_daemon_is_refused_with_the_process_of_the_first_until_that_ends(tmp_path: Path) -> None:
    folder = tmp_path / "not" / "yet"
    refused = pytest.raises(StateInUse, match=rf"= {folder}: another edged \(process {os.getpid()}\)")
    with locked_state(folder), refused, locked_state(folder):
        pass
    with locked_state(folder):
        assert list(folder.iterdir()) == []


def test_directory_that_cannot_be_made_does_not_stop_the_daemon(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with locked_state(tmp_path / "file"):
        pass


def test_file_system_without_locks_is_told_and_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def flock(*_: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    with locked_state(tmp_path):
        assert caplog.messages == [f"{tmp_path}: No locks available; a second daemon there would not be noticed"]
