"""Root does not write through links of another user: it becomes that user first."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edged.runtime.privileges import owner
from engines.errors import StoreError
from engines.store.disk import file_lock

NOBODY = 65534


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A folder of somebody else's, which they can reach."""
    if os.geteuid() != 0:
        pytest.skip("only root can give its rights up")
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == 0 and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o005)
    (tmp_path / "store").mkdir()
    os.chown(tmp_path / "store", NOBODY, NOBODY)
    return tmp_path / "store"


def test_owner_is_whoever_can_lay_a_link_on_the_way(theirs: Path, tmp_path: Path) -> None:
    assert owner(tmp_path / "new" / "folder") is None
    assert owner(theirs / "new") == (NOBODY, NOBODY)
    (theirs / "link").symlink_to("/etc")
    os.chown(theirs / "link", NOBODY, NOBODY, follow_symlinks=False)
    assert owner(theirs / "link") == (NOBODY, NOBODY)


def test_import_by_root_writes_nothing_through_links(theirs: Path, tmp_path: Path) -> None:
    victim, model = tmp_path / "victim", tmp_path / "model.onnx"
    victim.mkdir()
    shutil.copy(Path(__file__).parents[2] / "engines/starter/rtmpose_lsp_t.onnx", model)
    model.chmod(0o600)
    (theirs / ".partial").symlink_to(victim)
    script = (
        "import sys; from pathlib import Path; from edged.runtime.privileges import *\n"
        "folder, model, victim = map(Path, sys.argv[1:])\n"
        "with readable_by_owner(model, folder) as copy:\n"
        "    drop_to_owner(folder)\n"
        "    assert copy.read_bytes(), 'the copy is readable'\n"
        "    try: (folder / '.partial' / 'x').write_text('x')\n"
        "    except PermissionError: print('refused')\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, theirs, model, victim],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=Path(__file__).parents[2],
    )
    assert (run.returncode, run.stdout) == (0, "refused\n"), run.stderr
    assert list(victim.iterdir()) == []


def test_lock_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("mine")
    (tmp_path / ".lock").symlink_to(tmp_path / "victim")
    with pytest.raises(StoreError), file_lock(tmp_path):
        pass
    assert (tmp_path / "victim").read_text() == "mine"
