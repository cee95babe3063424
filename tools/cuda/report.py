"""The figures of one GPU as a page, and what of them is drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from tools.bench import report as bench
from tools.cuda.batching import saved_share, served
from tools.cuda.figures import ratios as loop_per_engines
from tools.reports.writer import significant, table

Figures = dict[str, Any]

ENGINES = ("detect", "pose")  # stages that are nothing but engines
RATE_HZ = 30  # of a camera
RUNNERS = {"onnxruntime": "ONNX Runtime's CUDA", "torch": "PyTorch's CUDA, eager"}


def bars(found: Figures) -> dict[str, dict[str, float]]:
    """A frame by number of subjects: its stages on the GPU, and what the loop takes beyond them."""
    stages, loop = found["stages"], _loop(found)
    if "why_not" in stages or loop is None:
        return {}
    return {
        f"CUDA backend, {n} subject{'s' if n > 1 else ''}": {**stages[str(n)], "host": host_ms(stages, loop, n)}
        for n in found["effort"]["subjects"]
    }


def host_ms(stages: Figures, loop: Figures, subjects: int) -> float:
    """What of a frame is not the GPU's work: handing it over, waking up, reading what came back."""
    return float(max(0.0, loop[str(subjects)]["p50"] - sum(stages[str(subjects)].values())))


def page(found: Figures) -> Iterator[str]:
    """The whole report, line by line."""
    gpu, subjects = found["gpu"], found["effort"]["subjects"]
    yield f"# The CUDA backend on {gpu['gpu']} (compute capability {gpu['sm']}, driver CUDA {gpu['driver']})\n"
    yield from bench.environment({"environment": {**found["environment"], "others_cores": found["others_cores"]}})
    yield f"\nThe engines run on {RUNNERS[found['engines']]}, in FP32, TF32 where the GPU multiplies in it.\n"
    yield from _said("tests", found["tests"])
    yield from _said("sanitizer", found["sanitizer"])
    yield "\n## A frame, ms: p50, and what of it the host's thread works\n"
    yield from _unless_absent(found["loops"], lambda loops: _loops(loops, subjects))
    yield "\n## Frames of several cameras as one batch\n"
    yield from _unless_absent(found["batching"], lambda batching: _batching(batching, found["stages"], _loop(found)))
    yield "\n## Where a frame's time goes\n"
    yield from _unless_absent(found["stages"], lambda stages: _stages(stages, _loop(found), subjects))
    yield "\n## Engines alone, ms of one of many in a row, the host's handing over included\n"
    yield from _unless_absent(found["engines_ms"], lambda engines: _engines(engines, _loop(found), subjects))
    yield "\n## Beside peers on this GPU\n"
    yield "Everybody takes turns on the same photographs, in FP32 as each library does it by default. Around PyTorch's"
    yield "nets letterbox, crops and decoding are our CPU backend's, as in `python -m tools.bench`."
    yield "\n### Starter models: RTMDet-nano 416x256, RTMPose-t\n"
    yield from _unless_absent(found["starters"], beside_peers)
    yield "\n### RTMDet-nano as published, 320x320, NMS inside, and RTMPose-t\n"
    yield from _unless_absent(found["published"], beside_peers)
    yield "\n## Memory\n"
    yield from _unless_absent(found["steady"], _steady)
    yield "\n## Bandwidth\n"
    yield from _unless_absent(
        found["bandwidth"], lambda moved: table(("what", "MB moved", "ms", "GB/s"), bandwidth_rows(moved))
    )


def _unless_absent(part: Figures, lines: Callable[[Figures], Iterable[str]]) -> Iterator[str]:
    if why := part.get("why_not"):
        yield f"not measured: {why}"
    else:
        yield from lines(part)


def _said(name: str, part: Figures) -> Iterator[str]:
    said = {name: f"not run: {part['why_not']}"} if "why_not" in part else part
    yield from (f"- {check}: {words}" for check, words in said.items())


def _loop(found: Figures) -> Figures | None:
    """The loop as it is, by number of subjects."""
    loops = found["loops"]
    return None if "why_not" in loops else loops["as it is"]


def _loops(loops: Figures, subjects: Sequence[int]) -> Iterator[str]:
    yield from table(("way", "graphs", "frames", *map(str, subjects), "ms per subject"), loop_rows(loops, subjects))
    if not loops["as it is"]["graphs"]:
        yield "\nThe work of these engines cannot become part of a CUDA graph: what graphs gain is not measured."


def _batching(batching: Figures, stages: Figures, loop: Figures | None) -> Iterator[str]:
    gpu_ms, clock_ms = batching["gpu_ms"], batching["clock_ms"]
    yield "Of one image, ms on the GPU: medians between CUDA events, the stream held until all of a batch lies on it.\n"
    rows = [[name, *(significant(ms / int(n)) for n, ms in by_batch.items())] for name, by_batch in gpu_ms.items()]
    yield from table(("engine, by batch", *next(iter(gpu_ms.values()))), rows)
    yield "\nA frame of each camera at the same instant, one subject in each: ms of the clock until the last has its"
    yield "keypoints, letterbox and decoding, which are each camera's own, left out.\n"
    ways = next(iter(clock_ms.values()))
    rows = [[way, *(significant(by_way[way]) for by_way in clock_ms.values())] for way in ways]
    yield from table(("way, by cameras", *clock_ms), rows)
    rest_ms = 0.0 if "why_not" in stages else sum(ms for stage, ms in stages["1"].items() if stage not in ENGINES)
    yield ""
    for n in clock_ms:
        share = 100 * saved_share(gpu_ms, int(n), rest_ms)
        yield f"- batching {n} cameras saves {share:.0f} % of GPU time a frame{_room(clock_ms, int(n), loop)}"
    period_ms = 1000 / RATE_HZ
    yield f"\nA batch that waits for its last frame costs up to a frame period, {period_ms:.0f} ms at {RATE_HZ} Hz."
    if loop is not None:
        yield _pays(served(clock_ms, int(n), loop["1"]["p50"], RATE_HZ) for n in clock_ms)


def _room(clock_ms: Figures, cameras: int, loop: Figures | None) -> str:
    if loop is None:
        return ""
    alone, batched = served(clock_ms, cameras, loop["1"]["p50"], RATE_HZ)
    return (
        f"; cameras at {RATE_HZ} Hz that the loop keeps up with: {alone} one after the other, {batched} in such batches"
    )


def _pays(numbers: Iterable[tuple[int, int]]) -> str:
    """Of cameras kept up with one after the other, and in batches of each size."""
    rows = list(numbers)
    alone, most = rows[0][0], max(batched for _, batched in rows)
    if most <= alone:
        return "It does not pay here: the loop keeps up with no more cameras in batches."
    return f"It pays here where more than {alone} cameras share the GPU, up to {most}; fewer would wait for nothing."


def _engines(engines: Figures, loop: Figures | None, subjects: Sequence[int]) -> Iterator[str]:
    yield from table(("engine", "batch", "ms"), engine_rows(engines))
    if loop is not None:
        ratios = loop_per_engines(engines, loop, subjects)
        told = ", ".join(significant(ratios[str(n)]) for n in subjects)
        yield f"\nLoop over engines, by subjects {', '.join(map(str, subjects))}: {told}."


def _stages(stages: Figures, loop: Figures | None, subjects: Sequence[int]) -> Iterator[str]:
    names = list(stages[str(subjects[0])])
    rows = [[name, *(significant(stages[str(n)][name]) for n in subjects)] for name in names]
    if loop is not None:
        yield "![stages of a frame](stages.webp)\n"
        rows.append(["host", *(significant(host_ms(stages, loop, n)) for n in subjects)])
    yield "By subjects, ms: medians between CUDA events, each frame whole on its stream before the GPU begins, without"
    yield "graphs. `host` is the rest of the loop as it is: handing over, waking up, reading what came back; 0 where"
    yield "the loop took less than the stages together.\n"
    yield from table(("stage", *map(str, subjects)), rows)


def _steady(steady: Figures) -> Iterator[str]:
    yield (
        "Over {frames} frames ({minutes} min) the GPU's memory grew by {gpu_bytes} bytes, the host's by {host_mb} MB."
    ).format(**steady)


def beside_peers(found: Figures) -> Iterator[str]:
    rows = found["people"]
    if rows:
        yield from bench.beside(rows)
        yield from bench.cores(rows)
        if all("keypoints_px" in row for row in rows.values()):
            yield from bench.apart(rows)
        yield from bench.uneven(rows)
        yield ""
    yield from (f"- {who}: not measured: {why}" for who, why in found["absent"].items())


def engine_rows(engines: Figures) -> list[list[str]]:
    return [[name, batch, significant(ms)] for name, by_batch in engines.items() for batch, ms in by_batch.items()]


def loop_rows(loops: Figures, subjects: Sequence[int]) -> list[list[str]]:
    return [
        [way, "yes" if by["graphs"] else "no", by["frames"],
         *(f"{significant(by[str(n)]['p50'])} ({significant(by[str(n)]['host_ms'])})" for n in subjects),
         significant(by["ms_per_subject"])]
        for way, by in loops.items()
    ]  # fmt: skip


def bandwidth_rows(moved: Figures) -> list[list[str]]:
    return [
        [name, significant(part["bytes"] / 1e6), significant(part["ms"]), significant(part["gb_per_s"])]
        for name, part in moved.items()
    ]
