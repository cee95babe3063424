"""The daemon as systemd would start it, on a picture of ours: how soon it is ready and sees, how soon it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from edged.drawing.image_file import write_image
from edged.hardware_report.loops import test_images
from edged.hardware_report.probe import Bench, ReportRow, failed

READY_TIMEOUT_S = 120.0
STOP_LIMIT_S = 2.0  # promised
STOP_TIMEOUT_S = 30.0


def service(bench: Bench) -> Iterator[ReportRow]:
    with TemporaryDirectory(prefix="edged-prove-") as name, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        folder = Path(name)
        ear.bind(str(folder / "notify"))
        ear.settimeout(READY_TIMEOUT_S)
        begun_s = time.monotonic()
        command, environment = _command(bench, folder), _environment(folder)
        with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as daemon:  # noqa: S603
            try:
                ready_s = _wait_for_message(ear, "READY=1") - begun_s
                online_s = _wait_for_message(ear, "1 of 1 cameras online") - begun_s
                daemon.send_signal(signal.SIGTERM)
                told_s = time.monotonic()
                code = daemon.wait(STOP_TIMEOUT_S)
                stop_s = time.monotonic() - told_s
            except TimeoutError:
                yield failed("start", f"not ready and online after {READY_TIMEOUT_S:g} s")
                return
            finally:
                daemon.kill()
    yield ReportRow(subject="start", figures={"ready_s": round(ready_s, 2), "online_s": round(online_s, 2)})
    figures = {"exit_s": round(stop_s, 2), "exit_code": code}
    good = stop_s <= STOP_LIMIT_S and code == 0
    yield (
        ReportRow(subject="SIGTERM", figures=figures)
        if good
        else failed("SIGTERM", f"want {STOP_LIMIT_S:g} s and 0", **figures)
    )


def _command(bench: Bench, folder: Path) -> list[str]:
    """The models and engines of the configuration, one camera of our own, no broker."""
    write_image(folder / "seen.png", test_images()[0])
    models = bench.settings.models
    lines = [
        f'device.state_dir = "{folder}"',
        f'models.store = "{models.store}"',
        f'models.detector = "{models.detector}"',
        f'cameras.one = {{ source = "{folder / "seen.png"}", loop = true, fps = 5 }}',
        "mqtt.port = 9",  # discard: nobody listens
    ]
    if models.catalogue:
        lines.append(f'models.catalogue = "{models.catalogue}"')
    poses = ", ".join(f'{label} = "{card}"' for label, card in models.pose.items())
    (folder / "edged.toml").write_text("\n".join([*lines, f"models.pose = {{ {poses} }}", ""]))
    return [sys.executable, "-m", "edged", "run", "--quiet", "--config", str(folder / "edged.toml")]


def _environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "NOTIFY_SOCKET": str(folder / "notify"), "WATCHDOG_USEC": "1000000"}


def _wait_for_message(ear: socket.socket, words: str) -> float:
    """When it was said. Raises TimeoutError."""
    end_s = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < end_s:
        if words in ear.recv(4096).decode(errors="replace"):
            return time.monotonic()
    raise TimeoutError
