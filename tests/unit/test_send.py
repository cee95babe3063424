"""The picture that `edged send --out` keeps."""

from __future__ import annotations

import os
from errno import ENOSPC
from pathlib import Path

import pytest

from edged.commands.send import _keep
from edged.errors import NotWritten
from tests.support.raising import raises_code


def test_older_picture_is_kept_where_the_new_one_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(ENOSPC, "No space left on device")

    old = tmp_path / "stall.jpg"
    assert _keep(old, b"old") == 0
    monkeypatch.setattr(os, "fsync", full)
    with raises_code(NotWritten, "folder"):
        _keep(old, b"new")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("stall.jpg", b"old")]


def test_link_is_written_through_and_stays(tmp_path: Path) -> None:
    link = tmp_path / "link.jpg"
    link.symlink_to(tmp_path / "stall.jpg")
    assert _keep(link, b"new") == 0
    assert (link.is_symlink(), (tmp_path / "stall.jpg").read_bytes()) == (True, b"new")
