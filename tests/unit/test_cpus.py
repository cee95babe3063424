"""How many CPUs the process may use: by its affinity, and by the quotas of its control groups, versions 1 and 2."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edged.runtime.cpus import allowed_cpus

MANY = range(8)


@pytest.fixture(autouse=True)
def eight_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(MANY))


def cpus(folder: Path, groups: str, files: dict[str, str]) -> int:
    """In a process of these groups, where these files say what is allowed."""
    (folder / "own").write_text(groups)
    for name, text in files.items():
        (folder / "fs" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "fs" / name).write_text(text)
    return allowed_cpus(folder / "own", folder / "fs")


def test_affinity_alone_limits_where_there_are_no_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert allowed_cpus(tmp_path / "none", tmp_path) == 8
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0})
    assert allowed_cpus(tmp_path / "none", tmp_path) == 1


@pytest.mark.parametrize(
    ("limit", "count"),
    [("100000 100000", 1), ("150000 100000", 2), ("10000 100000", 1), ("max 100000", 8), ("", 8), ("800000 50000", 8)],
)
def test_quota_of_version_2_is_rounded_up(limit: str, count: int, tmp_path: Path) -> None:
    assert cpus(tmp_path, "0::/system.slice/edged.service\n", {"system.slice/edged.service/cpu.max": limit}) == count


def test_quota_of_a_group_above_counts(tmp_path: Path) -> None:
    files = {"system.slice/cpu.max": "200000 100000", "system.slice/edged.service/cpu.max": "max 100000"}
    assert cpus(tmp_path, "0::/system.slice/edged.service\n", files) == 2


def test_quota_of_a_container_is_at_the_root(tmp_path: Path) -> None:
    assert cpus(tmp_path, "0::/\n", {"cpu.max": "300000 100000"}) == 3
    assert cpus(tmp_path, "0::/docker/abc\n", {"cpu.max": "300000 100000"}) == 3


@pytest.mark.parametrize(("quota", "count"), [("150000", 2), ("-1", 8)])
def test_quota_of_version_1(quota: str, count: int, tmp_path: Path) -> None:
    files = {"cpu,cpuacct/box/cpu.cfs_quota_us": quota, "cpu,cpuacct/box/cpu.cfs_period_us": "100000\n"}
    assert cpus(tmp_path, "5:cpuset:/box\n4:cpu,cpuacct:/box\n0::/\n", files) == count
