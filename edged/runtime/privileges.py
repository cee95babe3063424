"""Root gives its rights up before it writes where another user can lay links."""

from __future__ import annotations

import os
import pwd
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory


def owner(folder: Path) -> tuple[int, int] | None:
    """User and group of the first folder or link on this path that is not root's; None: all are."""
    path = folder.absolute()
    for part in (*reversed(path.parents), path):
        try:
            status = part.lstat()
        except OSError:
            return None
        if status.st_uid != 0:
            return status.st_uid, status.st_gid
    return None


def drop_to_owner(folder: Path) -> None:
    """As root, become the user who can lay links on the way to this folder, for good; else nothing. Raises OSError."""
    found = owner(folder) if os.geteuid() == 0 else None
    if found is None:
        return
    user, group = found
    try:
        os.initgroups(pwd.getpwuid(user).pw_name, group)
    except KeyError:
        os.setgroups([])
    os.setgid(group)
    os.setuid(user)
    os.umask(0o027)


@contextmanager
def readable_by_owner(file: Path, folder: Path) -> Iterator[Path]:
    """A path of this file that is readable after `drop_to_owner(folder)`: a copy, where rights will be given up."""
    found = owner(folder) if os.geteuid() == 0 else None
    if found is None or not file.is_file():
        yield file
        return
    with TemporaryDirectory() as place:
        copy = Path(place) / file.name
        shutil.copyfile(file, copy)
        for path in (copy, Path(place)):
            os.chown(path, *found)
        yield copy
