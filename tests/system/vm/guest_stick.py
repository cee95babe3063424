"""Runs in the test machine, under systemd and udev: sticks that are there at boot or plugged in, written down as JSON.

The assertions are in test_stick.py, outside.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.system.nspawn.guest_service import ETC, OUT, SYSTEM, UNITS, drop, journal, sh, systemctl, until

LIMIT_S = 500.0  # everything is emulated
REPORT = "edged-provision.report.txt"


def install() -> None:
    """What install.sh puts in place, on the environment of this very program."""
    Path("/opt/edged").mkdir()
    Path("/opt/edged/current").symlink_to(sys.prefix)
    for unit in [*UNITS.glob("*.service"), *UNITS.glob("*.timer"), *UNITS.glob("*.path")]:
        shutil.copy(unit, SYSTEM)
    shutil.copy(UNITS / "70-edged.rules", "/etc/udev/rules.d")
    sh("systemd-sysusers", UNITS / "edged.sysusers")
    sh("systemd-tmpfiles", "--create", UNITS / "edged.tmpfiles")
    drop("edged-stick@.service", "[Service]\nProtectHome=read-only\n")  # the test's interpreter may lie there
    # Here the daemon itself is a stand-in that is ready at once: it is another test's matter.
    (SYSTEM / "edged.service").write_text(
        "[Service]\nType=notify\nNotifyAccess=all\n"
        "ExecStart=/bin/sh -c 'systemd-notify --ready --status=\"1 of 1 cameras online; broker connected\"; sleep 1d'\n"
    )
    systemctl("daemon-reload")
    sh("udevadm", "control", "--reload")


def report(device: str) -> list[str]:
    """What is written on the stick, once its service has ended."""
    unit = f"edged-stick@{device}.service"
    until(lambda: any("Finished" in line or "Failed to start" in line for line in journal(f"--unit={unit}")), LIMIT_S)
    at = Path(f"/mnt/{device}")
    at.mkdir()
    subprocess.run(["mount", "-o", "ro", f"/dev/{device}", at], check=True)
    said = (at / REPORT).read_text().splitlines() if (at / REPORT).exists() else []
    subprocess.run(["umount", at], check=True)
    return said


def plugged_in(number: int, device: str) -> list[str]:
    """The host plugs a stick in when it sees the file."""
    (OUT / f"plug-{number}").touch()
    until(lambda: Path(f"/dev/{device}").exists(), LIMIT_S)
    return report(device)


def settings() -> str:
    return (ETC / "conf.d/50-box.toml").read_text()


def main() -> None:
    found: dict[str, Any] = {}
    install()
    sh("udevadm", "trigger", "--type=devices", "--action=add", "--subsystem-match=block")  # as at boot
    parts: dict[str, Callable[[], list[str]]] = {
        "boot": lambda: report("sda"),
        "wrong": lambda: plugged_in(1, "sdb"),
        "unsigned": lambda: plugged_in(2, "sdc"),
        "other": lambda: plugged_in(3, "sdd"),
    }
    try:
        for name, part in parts.items():
            found[name] = part()
        found["box"] = settings()
        found["mounted"] = [
            line for line in Path("/proc/mounts").read_text().splitlines() if line.startswith("/dev/sd")
        ]
    finally:
        found["journal"] = journal()[-80:]
        (OUT / "found.json").write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
