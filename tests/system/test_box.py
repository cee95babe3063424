"""Boxes that fail: old clocks, no network, disks that take nothing, power that goes. The whole daemon, every time."""

from __future__ import annotations

import itertools
import os
import random
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest

pytest.importorskip("cv2", reason="needs OpenCV; install edged[cpu]")
pytest.importorskip("onnxruntime", reason="needs ONNX Runtime; install edged[cpu]")

from tests.support.mqtt import Listener, Mosquitto
from tests.support.recorded import LIMIT_S, video
from tests.support.waiting import until
from tests.system.notified_daemon import NotifiedDaemon, broker, camera

Listen = Callable[..., Listener]

POWER_CUTS = int(os.environ.get("POWER_CUTS", "3"))  # 100 for the long run
DAY_S = 86_400
ONLINE, POSES, HEALTH = "1 of 1 cameras online; broker connected", "edged/box/cam/barn/poses", "edged/box/health"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: mounts and namespaces")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[NotifiedDaemon]:
    with ExitStack() as stack:
        yield NotifiedDaemon(tmp_path, stack)


@pytest.fixture
def keys(mosquitto: Mosquitto, tmp_path: Path) -> str:
    once_a_second = 'device.id = "box"\npublish.health_interval_s = 1\n'
    return once_a_second + broker(mosquitto.port) + camera(video(tmp_path / "clip.mp4"))


@pytest.fixture
def listener(mosquitto: Mosquitto, listen: Listen) -> Listener:
    return listen(mosquitto.port)


def wait(true: Callable[[], Any]) -> Any:
    return until(true, LIMIT_S)


def fresh(listener: Listener, topic: str, count: int = 3) -> list[dict[str, Any]]:
    """Messages from now on."""
    before = len(listener.bodies(topic))
    wait(lambda: len(listener.bodies(topic)) >= before + count)
    return listener.bodies(topic)[before:]


def end(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    _, output = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, "Traceback" in output) == (0, False), output


@needs_root
@pytest.mark.parametrize(
    "turn_s", [2**32 / 1000, 2**32 / 100], ids=["49 days: milliseconds", "497 days: hundredths of a second"]
)
def test_daemon_runs_on_when_a_32_bit_counter_wraps(
    site: NotifiedDaemon, keys: str, listener: Listener, turn_s: float
) -> None:
    """In a namespace whose monotonic clock is about to pass that instant."""
    ahead_s = round(turn_s - time.monotonic() - 10)
    process = site.start(
        keys, "unshare", "--time", "--monotonic", str(ahead_s), "--boottime", str(ahead_s), "--fork", "--kill-child"
    )
    fresh(listener, POSES)
    wait(lambda: time.monotonic() + ahead_s > turn_s + 1)
    (*_, health) = fresh(listener, HEALTH)
    poses = fresh(listener, POSES)
    assert turn_s < health["device"]["uptime_s"] < turn_s + DAY_S
    assert 0 <= health["uptime_s"] < 3600
    assert all(0 < one["latency_ms"] < 60_000 for one in poses)
    assert abs(poses[-1]["ts"] / 1000 - time.time()) < 60
    assert health["cameras"]["barn"]["losses_per_h"] == 0
    process.kill()
    process.communicate()


@needs_root
@pytest.mark.parametrize("fault", ["read-only", "full"])
def test_keypoints_go_on_when_the_disk_cannot_be_written(
    site: NotifiedDaemon, keys: str, listener: Listener, tmp_path: Path, fault: str
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk], check=True)
    try:
        if fault == "full":
            (disk / "filler").write_bytes(bytes(252 * 1024))
        else:
            subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        site.state = disk
        process = site.start(keys)
        until(lambda: not fresh(listener, HEALTH)[-1]["mqtt"]["stored"]["durable"])  # the first may precede a write
        (*_, health) = fresh(listener, HEALTH)
        fresh(listener, POSES)
        assert fault == "read-only" or "disk-nearly-full" in [problem["code"] for problem in health["problems"]]
        end(process)
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def test_cameras_go_on_without_more_memory(site: NotifiedDaemon, keys: str, listener: Listener) -> None:
    """Steady state asks for none: not one byte of address space more is granted, and the clip goes round and round."""
    process = site.start(keys)
    fresh(listener, POSES)
    far_below = psutil.Process(process.pid).memory_info().vms // 2
    resource.prlimit(process.pid, resource.RLIMIT_AS, (far_below, resource.RLIM_INFINITY))
    fresh(listener, HEALTH, 5)
    fresh(listener, POSES, 20)
    assert "lost" not in listener.states("edged/box/cam/barn/status")
    end(process)


def test_daemon_starts_after_a_power_cut_at_any_instant(
    site: NotifiedDaemon, keys: str, listener: Listener, tmp_path: Path
) -> None:
    """Killed whenever, and what it was writing torn: the next start is as good as any."""
    dice = random.Random(7)
    for _ in range(POWER_CUTS):
        process = site.start(keys)
        time.sleep(dice.uniform(0.5, 6))
        process.kill()
        process.communicate()
        for path in itertools.chain(tmp_path.glob("*.json"), tmp_path.glob("*.part"), tmp_path.glob("outbox.db-wal")):
            if (size := path.stat().st_size) and dice.random() < 0.5:
                os.truncate(path, dice.randrange(size))
    process = site.start(keys)
    (*_, health) = fresh(listener, HEALTH)
    fresh(listener, POSES)
    assert health["mqtt"]["stored"]["durable"]
    end(process)


@pytest.fixture
def wires() -> Iterator[tuple[str, Callable[[], None]]]:
    """A namespace with nothing but loopback, and what plugs its cable in: over a router to 10.77.2.2, which is us."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("needs root and iproute2: network namespaces")
    tag = str(os.getpid())
    box, router, us = f"edbox{tag}", f"edrout{tag}", f"edus{tag}"[:15]

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True)

    def plug_in() -> None:
        ip("-n", router, "link", "add", "lan", "type", "veth", "peer", "eth0", "netns", box)
        ip("-n", router, "addr", "add", "10.77.1.1/24", "dev", "lan")
        ip("-n", router, "link", "set", "lan", "up")
        ip("-n", box, "addr", "add", "10.77.1.2/24", "dev", "eth0")
        ip("-n", box, "link", "set", "eth0", "up")
        ip("-n", box, "route", "add", "default", "via", "10.77.1.1")

    for name in (box, router):
        ip("netns", "add", name)
        ip("-n", name, "link", "set", "lo", "up")
    try:
        ip("link", "add", us, "type", "veth", "peer", "wan", "netns", router)
        ip("addr", "add", "10.77.2.2/24", "dev", us)
        ip("link", "set", us, "up")
        ip("-n", router, "addr", "add", "10.77.2.1/24", "dev", "wan")
        ip("-n", router, "link", "set", "wan", "up")
        ip("netns", "exec", router, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        ip("route", "add", "10.77.1.0/24", "via", "10.77.2.1", "dev", us)
        yield box, plug_in
    finally:
        ip("netns", "del", box)
        ip("netns", "del", router)
        subprocess.run(["ip", "link", "del", us], check=False, capture_output=True)


def test_broker_on_another_subnet_is_found_once_the_network_is_there(
    site: NotifiedDaemon,
    new_mosquitto: Callable[..., Mosquitto],
    listen: Listen,
    tmp_path: Path,
    wires: tuple[str, Callable[[], None]],
) -> None:
    box, plug_in = wires
    mosquitto = new_mosquitto("allow_anonymous true", "listener 18877 10.77.2.2")
    listener = listen(mosquitto.port)
    keys = 'device.id = "box"\nmqtt.host = "10.77.2.2"\nmqtt.port = 18877\n' + camera(video(tmp_path / "clip.mp4"))
    process = site.start(keys, "ip", "netns", "exec", box)
    wait(lambda: site.has_notified("READY=1"))
    wait(lambda: site.has_notified("1 of 1 cameras online; no broker"))
    assert listener.bodies(POSES) == []
    plug_in()
    fresh(listener, POSES)
    wait(lambda: site.has_notified(ONLINE))
    end(process)
