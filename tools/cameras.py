"""Several cameras on the CPU, a frame on all cores against a frame per core: `python -m tools.cameras`, minutes.

Cameras play the demo clip through capture, pipelines and the loop, both ways in turn. Writes tools/reports/cameras.
"""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edged import loop
from edged.capture.hub import CameraHub
from edged.capture.make_camera import make_camera
from edged.config.tables.camera import CameraConfig
from edged.config.tree import Config
from edged.frame import Frame, FrameResult
from edged.inference.cpu.choose import CpuChoice
from edged.inference.cpu.motion_gate import motion_gate
from edged.inference.load_models import LoadedModels, load_models
from edged.pipeline import Pipeline
from edged.runtime.cpus import allowed_cpus
from edged.units import NS_PER_MS
from tools.demo import CLIP
from tools.reports.writer import number, table, write

OUT = Path(__file__).parent / "reports/cameras"
GATES: dict[str, dict[str, Any]] = {"off": {"mode": "off"}, "at once": {"mode": "on", "rest_s": 0}}
WARM_UP_S = 2.0


@dataclass(slots=True)
class Load:
    """What became of the frames of all cameras, over all turns."""

    seconds: float = 0.0
    cpu_s: float = 0.0
    dropped: int = 0
    held: int = 0
    balanced: bool = True
    latencies_ms: list[float] = field(default_factory=list)  # from the capture to the sinks


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.cameras", description=__doc__)
    parser.add_argument("--cameras", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--hz", type=float, default=5.0, help="of each camera")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each run")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--runtime", choices=("auto", "onnxruntime", "openvino"), default="onnxruntime")
    parser.add_argument("--precision", choices=("fp32", "int8"), default="fp32")
    parser.add_argument("--gates", nargs="+", choices=tuple(GATES), default=list(GATES), help="motion gates, by name")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of the report")
    args = parser.parse_args()
    config = Config.model_validate({"compute": {"cpu_runtime": args.runtime, "precision": args.precision}})
    ways = [load_models(config.models, config.compute, cameras=cameras) for cameras in (1, max(args.cameras))]
    rows = {(count, way, gate): Load() for count in args.cameras for gate in args.gates for way in range(len(ways))}
    for _ in range(args.turns):
        for (count, way, gate), load in rows.items():
            play(ways[way], cameras(count, args.hz, gate), args.seconds, load)
    for models in ways:
        models.backend.close()
    at_once = [models.frames_at_once for models in ways]
    figures = [_figures(count, at_once[way], gate, load) for (count, way, gate), load in rows.items()]
    page = _page(figures, args, ways[0].cpu)
    write(args.out, page, {"rows": figures}, name="cameras")
    print(*page, sep="\n")


def cameras(count: int, hz: float, gate: str) -> dict[str, CameraConfig]:
    settings = {"source": str(CLIP), "loop": True, "fps": hz, "motion_gate": GATES[gate]}
    return {f"camera-{number}": CameraConfig.model_validate(settings) for number in range(1, count + 1)}


def play(models: LoadedModels, cameras: Mapping[str, CameraConfig], seconds: float, load: Load) -> None:
    """Add to `load` what these cameras make in that time, after a while to warm up."""
    pipelines = {
        name: Pipeline(camera, models.backend, models.detector, models.poses, gate=motion_gate(camera))
        for name, camera in cameras.items()
    }
    hub = CameraHub({name: (camera, make_camera(name, camera, raw=True)) for name, camera in cameras.items()}, _ignore)

    def loop_for(limit_s: float, *sinks: loop.Sink) -> None:
        stop = threading.Event()
        threading.Timer(limit_s, stop.set).start()
        loop.run(hub, pipelines, sinks, stop, frames_at_once=lambda: models.frames_at_once)

    def count(frame: Frame, result: FrameResult) -> None:
        load.latencies_ms.append((time.monotonic_ns() - frame.captured_ns) / NS_PER_MS)
        load.held += result.held

    hub.start()
    loop_for(WARM_UP_S)
    dropped, cpu_s, begin_s = hub.stats.dropped, time.process_time(), time.monotonic()
    loop_for(seconds, count)
    load.cpu_s += time.process_time() - cpu_s
    load.seconds += time.monotonic() - begin_s
    load.dropped += hub.stats.dropped - dropped
    hub.close()
    load.balanced = load.balanced and all(hub.counts(name).balanced for name in cameras)


def _ignore(_: object) -> None:
    """The state of a camera that plays a file."""


def _figures(count: int, at_once: int, gate: str, load: Load) -> dict[str, Any]:
    p50, p95 = np.percentile(load.latencies_ms, (50, 95)).tolist()
    return {
        "cameras": count,
        "frames at once": at_once,
        "motion gate": gate,
        "frames/s": len(load.latencies_ms) / load.seconds,
        "held": load.held / len(load.latencies_ms),
        "dropped": load.dropped,
        "balanced": load.balanced,
        "CPU ms a frame": 1e3 * load.cpu_s / len(load.latencies_ms),
        "p50 ms": p50,
        "p95 ms": p95,
    }


def _page(figures: Sequence[dict[str, Any]], args: argparse.Namespace, cpu: CpuChoice | None) -> list[str]:
    rows = [[value if isinstance(value, str | int) else number(value, 2) for value in row.values()] for row in figures]
    return [
        "# Several cameras on the CPU",
        "",
        f"`python -m tools.cameras --hz {args.hz:g} --runtime {args.runtime} --precision {args.precision}`: the demo "
        f"clip on every camera, {args.turns * args.seconds:g} s a row in turns, on {allowed_cpus()} cores, with "
        f"{cpu and cpu.candidate}. Latency is from the capture to the sinks; held frames needed no models.",
        "",
        *table(tuple(figures[0]), rows),
    ]


if __name__ == "__main__":
    main()
