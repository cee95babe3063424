"""The CPUs that this process may use: not those of the machine, but its affinity and the quota of its control group."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")


def allowed_cpus(own: Path = OWN, cgroups: Path = CGROUPS) -> int:
    """How many CPUs' worth of work this process may do at once, rounded up; at least 1.

    Source: sched(7), and the kernel's admin-guide/cgroup-v2 (cpu.max) and cgroup-v1 (cpu.cfs_quota_us).
    """
    return max(1, min([len(os.sched_getaffinity(0)), *map(math.ceil, _quotas(own, cgroups))]))


def _quotas(own: Path, cgroups: Path) -> Iterator[float]:
    """Of this process's group and of all above it, in CPUs; versions 1 and 2."""
    groups: list[str] = []
    with suppress(OSError):
        groups = own.read_text().splitlines()
    for line in groups:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        root = cgroups / controllers if controllers else cgroups
        for folder in _upwards(root, path):
            with suppress(OSError, ValueError, ZeroDivisionError):
                quota, period = _limit(folder, version=1 if controllers else 2)
                if quota > 0:
                    yield quota / period


def _upwards(root: Path, path: str) -> Iterator[Path]:
    """The group's folder and those above it; in a container only the root may be seen."""
    group = root / path.strip("/")
    yield from (folder for folder in (group, *group.parents) if folder.is_relative_to(root))


def _limit(folder: Path, version: int) -> tuple[int, int]:
    """Quota and period in us. Raises ValueError or OSError where there is none."""
    if version == 1:
        names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
        texts = [(folder / name).read_text() for name in names]
    else:
        texts = (folder / "cpu.max").read_text().split()  # "max 100000": no quota
    quota, period = texts
    return int(quota), int(period)
