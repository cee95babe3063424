"""Properties of the board that engines are built for."""

from __future__ import annotations

from pathlib import Path

import pytest

from engines.machine import Machine, detect, workspace_mb


@pytest.mark.parametrize(("gpu_gb", "mb"), [(None, 512), (8, 512), (9, 1024), (16, 1024), (32, 2048), (64, 4096)])
def test_small_board_builds_in_little_memory(gpu_gb: int | None, mb: int) -> None:
    assert workspace_mb(Machine(gpu_gb=gpu_gb)) == mb


def test_jetpack_is_read_from_its_release_file(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/nv_tegra_release").write_text("# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic\n")
    assert detect(tmp_path).l4t == "36.4.3"
    assert detect(tmp_path / "etc").l4t is None
