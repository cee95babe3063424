"""USB sticks with settings, on a real udev and systemd in an emulated machine: at boot, plugged in, wrong, not ours.

Takes minutes: STICK=1 runs it. That a file becomes settings is seen in test_package.py; here it is that a stick does.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.signing import new_key
from tests.system.guest_tmp import REPOSITORY, skip_where_missing

VM = Path(__file__).parent / "vm"
LIMIT_S = 1500  # on a busy machine
STICK_MB = 4
GOOD = """
[device]
id = "barn-east"
[mqtt]
username = "barn-east"
password = "s3cret"
[cameras.stall1]
source = "csi:0"
"""
TEXTS = (GOOD, GOOD.replace("[mqtt]", "[mqtt]\nprot = 1"), f"# not signed\n{GOOD}", None)


def stick(place: Path, text: str | None, key: Path | None) -> Path:
    """A FAT file system with that file on it, signed by the key if there is one."""
    image = place.with_suffix(".img")
    image.write_bytes(b"")
    os.truncate(image, STICK_MB << 20)
    subprocess.run(["mkfs.vfat", image], check=True, capture_output=True, timeout=60)
    at = place.with_suffix(".mnt")
    at.mkdir()
    if text is not None:
        (at / "edged-provision.toml").write_text(text)
        if key is not None:
            subprocess.run([REPOSITORY / "deploy/sign", "stick", key, at], check=True, timeout=60)
        subprocess.run(["mcopy", "-i", image, *at.iterdir(), "::"], check=True, timeout=60)
    return image


def plug_in_when_asked(monitor: Path, out: Path, ended: threading.Event) -> None:
    for number in (1, 2, 3):
        while not (out / f"plug-{number}").exists():
            if ended.wait(0.2):
                return
        with socket.socket(socket.AF_UNIX) as qemu:
            qemu.connect(str(monitor))
            qemu.sendall(f"device_add usb-storage,drive=stick{number},removable=on\n".encode())
            time.sleep(1)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    if not os.environ.get("STICK"):
        pytest.skip("takes minutes; STICK=1 runs it")
    skip_where_missing()
    for tool in ("qemu-system-x86_64", "busybox", "mkfs.vfat", "mcopy"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is missing (tests/system/setup.sh; apt-get install dosfstools mtools)")
    kernel = subprocess.run([VM / "kernel.sh"], capture_output=True, text=True, check=True, timeout=300).stdout.strip()
    out, sticks = tmp_path_factory.mktemp("stick"), tmp_path_factory.mktemp("images")
    key = new_key(sticks)
    images = [stick(sticks / str(n), text, None if n == 2 else key) for n, text in enumerate(TEXTS)]
    monitor = sticks / "monitor"
    more = ["-device", "qemu-xhci", "-monitor", f"unix:{monitor},server,nowait"]
    for number, image in enumerate(images):
        more += ["-drive", f"if=none,id=stick{number},format=raw,file={image}"]
    more += ["-device", "usb-storage,drive=stick0,removable=on"]
    guest = ["/usr/bin/env", f"PYTHONPATH={REPOSITORY}", sys.executable, "-m", "tests.system.vm.guest_stick"]
    env = {**os.environ, "FIRST": "guest-systemd.sh", "QEMU_MORE": " ".join(more), "LIMIT_S": str(LIMIT_S)}
    ended = threading.Event()
    hand = threading.Thread(target=plug_in_when_asked, args=(monitor, out, ended))
    hand.start()
    run = [str(VM / "boot.sh"), kernel, str(out), *guest]
    console = subprocess.run(
        run, capture_output=True, text=True, check=False, timeout=LIMIT_S + 30, errors="replace", env=env
    )
    ended.set()
    hand.join()
    result = out / "found.json"
    if not result.exists():
        said = (out / "output").read_text() if (out / "output").exists() else ""
        pytest.fail(f"the test machine gave no result\n{console.stdout[-2000:]}{console.stderr[-1000:]}\n{said}")
    answers: dict[str, Any] = json.loads(result.read_text())
    if "mounted" not in answers:
        pytest.fail("the scenario was not gone through\n" + "\n".join(answers["journal"]))
    return answers


def test_a_stick_that_is_there_at_boot_makes_the_box_and_gets_a_report(found: dict[str, Any]) -> None:
    assert found["boot"][3].startswith("from now on this device takes only sticks and releases signed by SHA256:")
    assert [found["boot"][2], *found["boot"][4:]] == [
        "barn-east: broker 127.0.0.1:1883; cameras: stall1",
        "applied; the daemon runs with it",
        "1 of 1 cameras online; broker connected",
    ]


def test_a_stick_with_a_mistake_is_told_its_line_and_changes_nothing(found: dict[str, Any]) -> None:
    assert "edged-provision.toml:5 mqtt.prot: " in found["wrong"][2]
    assert 'id = "barn-east"' in found["box"]


def test_an_unsigned_stick_gets_a_report_and_nothing_else(found: dict[str, Any]) -> None:
    assert found["unsigned"][2].startswith("edged-provision.toml is not signed")


def test_somebody_elses_stick_is_neither_written_nor_kept_mounted(found: dict[str, Any]) -> None:
    assert found["other"] == []
    assert found["mounted"] == []


def test_no_secret_is_in_the_journal_or_on_a_report(found: dict[str, Any]) -> None:
    assert "s3cret" not in json.dumps(found)
