"""An arm64 Debian, emulated: the wheelhouse installs there, and the daemon publishes keypoints of a clip.

Takes minutes: ARM64=1 runs it, --log-cli-level=INFO shows the figures. Debian has Python 3.11 for arm64, so it is
3.11; for 3.10 and 3.12 of JetPack the same packages are resolved and fetched by wheelhouse.sh. No GPU is in it, no
TensorRT and no JetPack.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.mqtt import Listener, Mosquitto
from tests.support.waiting import until
from tests.system.wheels import DEPLOY, REPOSITORY, fetched, run, wheelhouse

log = logging.getLogger(__name__)

PACKAGES = (
    "coreutils,dash,diffutils,sed,grep,mawk,findutils,passwd,util-linux,systemd,python3,python3-systemd,libstdc++6"
)
INSTALL_S, LIMIT_S = 1800, 900  # on a busy machine a frame takes half a minute
POSED = 5
BOX = """
[device]
id = "arm"
[mqtt]
port = {port}
[cameras.stall]
source = "/mnt/stall.mp4"
realtime = false
"""
CLIP = REPOSITORY / "tools" / "demo" / "stall.mp4"
# Emulated processors have no /sys as ONNX Runtime's cpuinfo wants it: none at all is understood.
ENTER = """
set -eu
mount -t proc proc "$1/proc"
mount --rbind /dev "$1/dev"
mount -t tmpfs tmpfs "$1/tmp"
mount --bind "$2" "$1/mnt"
shift 2
root=$1
shift
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root chroot "$root" "$@"
"""


def inside(root: Path, outside: Path, *command: str) -> list[str]:
    enter = ["unshare", "--mount", "--propagation", "private", "sh", "-c", ENTER, "sh"]
    return [*enter, str(root), str(outside), str(root), *command]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Debian of little more than Python and systemd, none of whose scripts has run."""
    if not os.environ.get("ARM64"):
        pytest.skip("takes minutes; ARM64=1 runs it")
    for tool in ("mmdebstrap", "qemu-aarch64-static"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is missing (apt-get install mmdebstrap qemu-user-static binfmt-support)")
    run(
        "sh",
        "-c",
        "mountpoint -q /proc/sys/fs/binfmt_misc || mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc",
    )
    run("update-binfmts", "--enable", "qemu-aarch64")
    root = tmp_path_factory.mktemp("arm64") / "root"
    include = f"--include={PACKAGES}"
    run(
        "mmdebstrap",
        "--quiet",
        "--variant=extract",
        "--architectures=arm64",
        include,
        "bookworm",
        root,
        limit_s=INSTALL_S,
    )
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\n")
    (root / "usr/bin/awk").symlink_to("mawk")
    for name in ("proc", "sys", "mnt", "root", "run"):
        (root / name).mkdir(exist_ok=True)
    return root


@pytest.fixture(scope="module")
def outside(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is seen there as /mnt."""
    folder = tmp_path_factory.mktemp("outside")
    wheelhouse(folder, fetched("aarch64", "3.11"), "0.3.0").rename(folder / "wheelhouse")
    shutil.copytree(DEPLOY / "systemd", folder / "systemd")
    for file in (DEPLOY / "install.sh", DEPLOY / "kernels.py", CLIP):
        shutil.copy(file, folder)
    return folder


@pytest.fixture(scope="module")
def installed(root: Path, outside: Path) -> dict[str, Any]:
    begun_s = time.monotonic()
    said = run(*inside(root, outside, "/mnt/install.sh"), limit_s=INSTALL_S)
    return {"said": said, "took_s": time.monotonic() - begun_s}


@pytest.fixture
def daemon(
    installed: dict[str, Any], root: Path, outside: Path, mosquitto: Mosquitto
) -> Iterator[subprocess.Popen[bytes]]:
    (outside / "box.toml").write_text(BOX.format(port=mosquitto.port))
    edged = ("/opt/edged/current/bin/edged", "run", "--quiet", "--config", "/mnt/box.toml")
    with (outside / "log").open("wb") as out:
        process = subprocess.Popen(inside(root, outside, *edged), stdout=out, stderr=out)
        yield process
        process.terminate()
        process.wait(60)


def test_the_wheelhouse_installs_without_a_network(installed: dict[str, Any]) -> None:
    assert "done: edged 0.3.0" in installed["said"]
    log.info("installed in %.0f s, emulated", installed["took_s"])


def test_keypoints_of_a_clip_are_published(
    daemon: subprocess.Popen[bytes], mosquitto: Mosquitto, listen: Callable[..., Listener]
) -> None:
    ear = listen(mosquitto.port)

    def posed() -> list[dict[str, Any]]:
        assert daemon.poll() is None
        subjects = [subject for body in ear.bodies("edged/arm/cam/stall/poses") for subject in body["subjects"]]
        return [subject for subject in subjects if sum(x is not None for x, _, _ in subject["keypoints"]) > 10]

    until(lambda: len(posed()) >= POSED, LIMIT_S)
    health = until(lambda: ear.bodies("edged/arm/health"), LIMIT_S)[-1]
    log.info("%s", json.dumps({"subject": posed()[-1], "cameras": health["cameras"]})[:2000])
    assert {subject["class"] for subject in posed()} <= {"horse", "person"}
