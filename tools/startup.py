"""CPU time and memory from process start to the first poses: `python -m tools.startup`, minutes, on a quiet machine.

`--beside NAME=CHECKOUT` runs the daemon of another checkout in turn, with the same Python. Every daemon gets the
default models and one 640x360 video, and publishes to a mosquitto on loopback. Below, what each part of the process
takes. Writes tools/reports/startup.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import psutil

from edged.mqtt.incoming import IncomingMessage
from tools.demo import CLIP
from tools.mqtt_bench import listening, mosquitto
from tools.reports.writer import environment, number, table, write

ROOT = Path(__file__).parents[1]
OUT = ROOT / "tools/reports/startup"
LIMIT_S = 120.0  # for the first poses
POLL_S = 0.2
BYTES_PER_MB = 1 << 20
MODELS = ("det_person_horse", "rtmpose_person_t", "rtmpose_horse_t")
PARTS = {  # each with all before it
    "the interpreter": "",
    "NumPy, OpenCV, PyAV": "import numpy, cv2, av",
    "ONNX Runtime": "import onnxruntime",
    "pydantic, paho-mqtt, psutil": "import pydantic_settings, paho.mqtt.client, psutil",
    "the daemon's own modules": "import edged.app",
    "three sessions": (
        "options = onnxruntime.SessionOptions()\n"
        f"sessions = [onnxruntime.InferenceSession('engines/starter/' + name + '.onnx', options) for name in {MODELS}]"
    ),
    "a frame through each": (
        "for one in sessions:\n"
        "    (image,) = one.get_inputs()\n"
        "    shape = [side if isinstance(side, int) else 1 for side in image.shape]\n"
        "    one.run(None, {image.name: numpy.zeros(shape, numpy.float32)})"
    ),
}
TRIED = """\
No model is warmed up before the first poses: 0.3 s of CPU time, spent with the frames after it. Tried for memory: no
arena, and freed blocks given back at once. The sessions then take 56 MB instead of 93 with one subject in view, but a
frame takes 16 % more CPU time (1 900 page faults), with huge pages 5 to 14 %: not kept. None of our 300 modules takes
more than 12 ms. OpenCV and PyAV each bring an FFmpeg; both are needed."""
TELL = "import time; print(time.process_time(), open('/proc/self/statm').read().split()[1])"


class Spent(NamedTuple):
    cpu_s: float
    mb: float  # resident


@dataclass(slots=True)
class Starts:
    """What the starts of one checkout took, a figure each."""

    wall_s: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)
    first_mb: list[float] = field(default_factory=list)  # resident at the first poses
    later_mb: list[float] = field(default_factory=list)  # at the end


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.startup", description=__doc__)
    parser.add_argument("--beside", type=_checkout, action="append", default=[], metavar="NAME=CHECKOUT")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=20.0, help="a daemon runs on after its first poses")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of the report")
    args = parser.parse_args()
    checkouts: dict[str, Path] = {"now": ROOT, **dict(args.beside)}
    starts = {name: Starts() for name in checkouts}
    for checkout in checkouts.values():
        start(checkout, 0.0, Starts())  # compiles the modules, which an installation does
    for _ in range(args.turns):
        for name, checkout in checkouts.items():
            start(checkout, args.seconds, starts[name])
    page = _page(starts, parts(args.turns), args)
    figures = {name: medians(one) for name, one in starts.items()}
    write(args.out, page, {"starts": figures, "environment": environment()}, name="startup")
    print(*page, sep="\n")


def start(checkout: Path, seconds: float, starts: Starts) -> None:
    """Add to `starts` what the daemon of `checkout` takes. Raises SystemExit if it publishes no poses in LIMIT_S."""
    with tempfile.TemporaryDirectory() as folder, mosquitto() as port, first_poses(port) as arrived:
        configuration = Path(folder) / "edged.toml"
        configuration.write_text(configuration_text(folder, port, state_key(checkout)))
        begin_s = time.monotonic()
        command = [sys.executable, "-m", "edged", "run", "--config", str(configuration)]
        with subprocess.Popen(command, cwd=checkout, env=_env(checkout), stdout=subprocess.DEVNULL) as daemon:
            try:
                while not arrived.wait(POLL_S):
                    if daemon.poll() is not None or time.monotonic() - begin_s > LIMIT_S:
                        raise SystemExit(f"{checkout}: no poses within {LIMIT_S:g} s; exit code {daemon.poll()}")
                process = psutil.Process(daemon.pid)
                wall_s, cpu = time.monotonic() - begin_s, process.cpu_times()
                starts.wall_s.append(wall_s)
                starts.cpu_s.append(cpu.user + cpu.system)
                starts.first_mb.append(process.memory_info().rss / BYTES_PER_MB)
                time.sleep(seconds)
                starts.later_mb.append(process.memory_info().rss / BYTES_PER_MB)
            finally:
                daemon.kill()


def configuration_text(folder: str, port: int, state: str) -> str:
    return (
        f'device = {{ id = "startup", {state} = "{folder}" }}\nmodels.store = "{folder}/models"\n'
        f'mqtt.port = {port}\ncameras.one = {{ source = "{CLIP}", loop = true }}\n'
    )


def state_key(checkout: Path) -> str:
    """Return how the configuration of a checkout calls the state directory: `device.state` before it was renamed."""
    return "state_dir" if "state_dir" in (checkout / "configs/reference.toml").read_text() else "state"


@contextmanager
def first_poses(port: int) -> Iterator[threading.Event]:
    """An event that is set once poses of any camera arrive at the broker."""
    arrived = threading.Event()

    def take(message: IncomingMessage) -> None:
        if message.topic.endswith("/poses"):
            arrived.set()

    with listening(port, "#", take):
        yield arrived


def parts(turns: int) -> dict[str, Spent]:
    """Return by part of PARTS what a process with it and all before it takes."""
    found: dict[str, Spent] = {}
    for last, name in enumerate(PARTS, 1):
        code = "\n".join([*PARTS.values()][:last])
        cpu_s, mb = zip(*(_resources(code) for _ in range(turns)), strict=True)
        found[name] = Spent(min(cpu_s), statistics.median(mb))  # of CPU time, what other load adds least to
    return found


def _resources(code: str) -> Spent:
    """What a Python process has taken at its end."""
    command = [sys.executable, "-c", f"{code}\n{TELL}"]
    told = subprocess.run(command, cwd=ROOT, env=_env(ROOT), check=True, capture_output=True, text=True).stdout
    cpu_s, pages = told.split()
    return Spent(float(cpu_s), int(pages) * os.sysconf("SC_PAGE_SIZE") / BYTES_PER_MB)


def _env(checkout: Path) -> dict[str, str]:
    """As an installed daemon: its modules are compiled, whatever the environment here says."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPATH": str(checkout)}


def medians(starts: Starts) -> dict[str, float]:
    return {name: statistics.median(getattr(starts, name)) for name in starts.__slots__}


def _page(starts: dict[str, Starts], spent: dict[str, Spent], args: argparse.Namespace) -> list[str]:
    head = ("", "first poses after, s", "CPU, s", "MB then", f"MB {args.seconds:g} s later")
    rows = [
        [name, number(one["wall_s"]), number(one["cpu_s"]), number(one["first_mb"], 0), number(one["later_mb"], 0)]
        for name, one in ((name, medians(one)) for name, one in starts.items())
    ]
    so_far = [Spent(0.0, 0.0), *spent.values()]
    own = [
        [name, number(to.cpu_s - before.cpu_s), number(to.mb - before.mb, 0)]
        for name, (before, to) in zip(spent, pairwise(so_far), strict=True)
    ]
    return [
        "# Start and memory",
        "",
        f"`python -m tools.startup`: the default models, one 640x360 video; medians of {args.turns} starts in turn.",
        "",
        *table(head, rows),
        "",
        "What is in it, each part by itself; the least CPU time of as many runs:",
        "",
        *table(("part", "CPU, s", "MB"), [*own, ["together", number(so_far[-1].cpu_s), number(so_far[-1].mb, 0)]]),
        "",
        TRIED,
    ]


def _checkout(text: str) -> tuple[str, Path]:
    name, folder = text.split("=", 1)
    return name, Path(folder).resolve()


if __name__ == "__main__":
    main()
