"""`python -m tools.soak --minutes 30`: runs the daemon with two cameras; measures its resources and their growth.

One is a network camera over RTSP, the other a video in a loop. The daemon runs in a process of its own, with the CPU
backend and a mosquitto. Memory, descriptors and threads are read from the kernel, frame counts from health messages.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from edged.units import S_PER_MIN
from tools.clip_images import clip_images
from tools.mqtt_bench import listening, mosquitto
from tools.reports.writer import environment
from tools.rtsp_server import encoded, serving
from tools.soak import report
from tools.soak.figures import Sample, figures

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "tools/demo/stall.mp4"
EVERY_S = 5.0
DAILY_S = 20.0  # shorter than the default of 15 minutes, so that daily messages occur often during the warm-up
STOP_S = 10.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--clip", type=Path, default=DEMO, help="video of both cameras, in a loop (%(default)s)")
    parser.add_argument("--fps", type=int, default=10, help="rate of each camera (%(default)s)")
    parser.add_argument("--out", type=Path, default=ROOT / "tools/reports/soak")
    args = parser.parse_args()
    where = environment()
    filmed = encoded(clip_images(args.clip), args.fps, gop=args.fps)
    with tempfile.TemporaryDirectory() as folder, mosquitto() as port, serving(filmed) as camera:
        configuration = Path(folder) / "edged.toml"
        configuration.write_text(configuration_text(folder, port, camera.url, args.clip.resolve(), args.fps))
        with collect_health(port) as healths, daemon(configuration) as process:
            samples = list(sample_process(process, args.minutes * S_PER_MIN))
            exit_code, stop_s = stop_process(process)
    found = figures(samples, healths, exit_code=exit_code, stop_s=stop_s)
    report.write(args.out, {"environment": where, "fps": args.fps, **found})
    print((args.out / "README.md").read_text())
    return 0 if found["good"] else 1


def configuration_text(folder: str, port: int, url: str, clip: Path, fps: int) -> str:
    return (
        f'device = {{ id = "soak", state_dir = "{folder}" }}\nmodels.store = "{folder}/models"\n'
        f"mqtt.port = {port}\npublish.health_interval_s = {EVERY_S:g}\npublish.daily_interval_s = {DAILY_S:g}\n"
        f'cameras.network.source = "{url}"\n'
        f'cameras.video = {{ source = "{clip}", loop = true, fps = {fps} }}\n'
    )


@contextmanager
def daemon(configuration: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "edged", "run", "--quiet", "--config", str(configuration)]
    with subprocess.Popen(command, cwd=ROOT) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


@contextmanager
def collect_health(port: int) -> Iterator[list[dict[str, Any]]]:
    """Yield a list to which health messages are appended as they arrive."""
    healths: list[dict[str, Any]] = []
    with listening(port, "edged/soak/health", lambda arrived: healths.append(json.loads(arrived.payload))):
        yield healths


def sample_process(process: subprocess.Popen[bytes], seconds: float) -> Iterator[Sample]:
    """Yield samples of the process from the kernel, every `EVERY_S`, until `seconds` are over or it has ended."""
    watched = psutil.Process(process.pid)
    begun_s = time.monotonic()
    while (at_s := time.monotonic() - begun_s) < seconds and process.poll() is None:
        with watched.oneshot():
            used_s = sum(watched.cpu_times()[:2])
            yield Sample(
                at_s=at_s,
                rss_mb=watched.memory_info().rss / 1e6,
                files=watched.num_fds(),
                threads=watched.num_threads(),
                cpu_s=used_s,
            )
        time.sleep(EVERY_S)


def stop_process(process: subprocess.Popen[bytes]) -> tuple[int, float]:
    """Send SIGTERM; return the exit code, and the time to exit, s."""
    process.send_signal(signal.SIGTERM)
    signalled_s = time.monotonic()
    code = process.wait(STOP_S)
    took_s = time.monotonic() - signalled_s
    time.sleep(1)  # for its last health message
    return code, took_s


if __name__ == "__main__":
    sys.exit(main())
