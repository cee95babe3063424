"""The daemon, started as systemd starts it, on an image of ours: time to ready, to an online camera, to its exit."""

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

import tomli_w

from edged.drawing.image_file import write_image
from edged.hardware_report.models import sample_images
from edged.hardware_report.probe import Bench, ReportRow, failed

READY_TIMEOUT_S = 120.0  # for the daemon to be ready and its camera online
STOP_LIMIT_S = 2.0  # what the README promises
STOP_TIMEOUT_S = 30.0  # for the measurement to end


def service(bench: Bench) -> Iterator[ReportRow]:
    """One row for the start, one for the exit after SIGTERM."""
    with TemporaryDirectory(prefix="edged-report-") as name, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        folder = Path(name)
        notify.bind(str(folder / "notify"))
        notify.settimeout(READY_TIMEOUT_S)
        begun_s = time.monotonic()
        command, environment = _command(bench, folder), _environment(folder)
        with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as daemon:  # noqa: S603
            try:
                ready_s = _wait_for_message(notify, "READY=1") - begun_s
                online_s = _wait_for_message(notify, "1 of 1 cameras online") - begun_s
                daemon.send_signal(signal.SIGTERM)
                signalled_s = time.monotonic()
                code = daemon.wait(STOP_TIMEOUT_S)
                stop_s = time.monotonic() - signalled_s
            except TimeoutError:
                yield failed("start", f"not ready and online after {READY_TIMEOUT_S:g} s")
                return
            finally:
                daemon.kill()
    yield ReportRow(subject="start", figures={"ready_s": round(ready_s, 2), "online_s": round(online_s, 2)})
    figures = {"exit_s": round(stop_s, 2), "exit_code": code}
    if stop_s <= STOP_LIMIT_S and code == 0:
        yield ReportRow(subject="SIGTERM", figures=figures)
    else:
        yield failed("SIGTERM", f"want at most {STOP_LIMIT_S:g} s and code 0", **figures)


def _command(bench: Bench, folder: Path) -> list[str]:
    """`edged run` with the models of the configuration, one camera of our own, and no broker."""
    image, config = folder / "camera.png", folder / "edged.toml"
    write_image(image, sample_images()[0])
    models = bench.settings.models
    table = {
        "device": {"state_dir": str(folder)},
        "models": {"store": str(models.store), "detector": models.detector, "pose": dict(models.pose)}
        | ({"catalogue": str(models.catalogue)} if models.catalogue else {}),
        "cameras": {"one": {"source": str(image), "loop": True, "fps": 5}},
        "mqtt": {"port": 9},  # discard: no broker listens there
    }
    config.write_text(tomli_w.dumps(table), "utf-8")
    return [sys.executable, "-m", "edged", "run", "--quiet", "--config", str(config)]


def _environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "NOTIFY_SOCKET": str(folder / "notify"), "WATCHDOG_USEC": "1000000"}


def _wait_for_message(notify: socket.socket, text: str) -> float:
    """When a message with this text arrived, CLOCK_MONOTONIC in s. Raises TimeoutError."""
    end_s = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < end_s:
        if text in notify.recv(4096).decode(errors="replace"):
            return time.monotonic()
    raise TimeoutError
