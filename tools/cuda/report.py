"""The report of one GPU in Markdown, and the figures of its plot."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from tools.bench import report as bench
from tools.cuda import tensorrt
from tools.cuda.batching import camera_capacity, saved_share
from tools.cuda.figures import ratios as loop_per_engines
from tools.reports.writer import significant, table

Figures = dict[str, Any]

ENGINES = ("detect", "pose")  # stages that only run engines
RATE_HZ = 30  # of a camera
RUNNERS = {
    "onnxruntime": "ONNX Runtime's CUDA, in FP32, or TF32 where the GPU uses it",
    "torch": "PyTorch's CUDA, eager, in FP32, or TF32 where the GPU uses it",
    "tensorrt": "TensorRT, in FP16",
}


def bars(found: Figures) -> dict[str, dict[str, float]]:
    """Return GPU time by stage and the rest of the loop, ms, by number of subjects."""
    stages, loop = found["stages"], _loop(found)
    if "why_not" in stages or loop is None:
        return {}
    return {
        f"CUDA backend, {n} subject{'s' if n > 1 else ''}": {**stages[str(n)], "host": host_ms(stages, loop, n)}
        for n in found["effort"]["subjects"]
    }


def host_ms(stages: Figures, loop: Figures, subjects: int) -> float:
    """Return the time per frame outside GPU work, ms: launch, wake-up, reading results."""
    return float(max(0.0, loop[str(subjects)]["p50"] - sum(stages[str(subjects)].values())))


def page(found: Figures) -> Iterator[str]:
    """Yield the lines of the report."""
    gpu, subjects = found["gpu"], found["effort"]["subjects"]
    yield f"# The CUDA backend on {gpu['gpu']} (compute capability {gpu['sm']}, driver CUDA {gpu['driver']})\n"
    yield from bench.environment({"environment": {**found["environment"], "others_cores": found["others_cores"]}})
    yield f"\nThe engines run on {RUNNERS[found['engines']]}.\n"
    yield from _check_lines("tests", found["tests"])
    yield from _check_lines("sanitizer", found["sanitizer"])
    yield "\n## Time per frame, ms: p50 (CPU time of the host thread)\n"
    yield from _lines_or_reason(found["loops"], lambda loops: _loops(loops, subjects))
    yield "\n## Frames of several cameras in one batch\n"
    yield from _lines_or_reason(found["batching"], lambda batching: _batching(batching, found["stages"], _loop(found)))
    yield "\n## Time by stage\n"
    yield from _lines_or_reason(found["stages"], lambda stages: _stages(stages, _loop(found), subjects))
    yield "\n## Engines alone, ms per launch of many in a row, launch by the host included\n"
    yield from _lines_or_reason(found["engines_ms"], lambda engines: _engines(engines, _loop(found), subjects))
    yield "\n## TensorRT engines by precision, tested on this GPU\n"
    yield from tensorrt.lines({kind: found[tensorrt.part(kind)] for kind in tensorrt.PRECISIONS})
    yield "\n## Comparison with other libraries on this GPU\n"
    yield "All run in turn on the same photographs, in FP32 with the defaults of each library, ours as said above."
    yield "With PyTorch, letterbox, crops and decoding are those of our CPU backend, as in `python -m tools.bench`."
    yield "\n### Starter models: RTMDet-nano 416x320, RTMPose-t\n"
    yield from _lines_or_reason(found["starters"], beside_peers)
    yield "\n### RTMDet-nano as published, 320x320, NMS inside, and RTMPose-t\n"
    yield from _lines_or_reason(found["published"], beside_peers)
    yield "\n## Memory\n"
    yield from _lines_or_reason(found["steady"], _steady)
    yield "\n## Bandwidth\n"
    yield from _lines_or_reason(
        found["bandwidth"], lambda moved: table(("what", "MB moved", "ms", "GB/s"), bandwidth_rows(moved))
    )


def _lines_or_reason(part: Figures, lines: Callable[[Figures], Iterable[str]]) -> Iterator[str]:
    if reason := part.get("why_not"):
        yield f"not measured: {reason}"
    else:
        yield from lines(part)


def _check_lines(name: str, part: Figures) -> Iterator[str]:
    lines = {name: f"not run: {part['why_not']}"} if "why_not" in part else part
    yield from (f"- {check}: {text}" for check, text in lines.items())


def _loop(found: Figures) -> Figures | None:
    """Return the default loop, by number of subjects."""
    loops = found["loops"]
    return None if "why_not" in loops else loops["as it is"]


def _loops(loops: Figures, subjects: Sequence[int]) -> Iterator[str]:
    yield from table(("way", "graphs", "frames", *map(str, subjects), "ms per subject"), loop_rows(loops, subjects))
    if not loops["as it is"]["graphs"]:
        yield "\nThese engines cannot be captured in a CUDA graph: the gain of graphs is not measured."


def _batching(batching: Figures, stages: Figures, loop: Figures | None) -> Iterator[str]:
    gpu_ms, clock_ms = batching["gpu_ms"], batching["clock_ms"]
    yield "GPU time per image, ms: medians between CUDA events, the batch enqueued before the GPU starts.\n"
    rows = [[name, *(significant(ms / int(n)) for n, ms in by_batch.items())] for name, by_batch in gpu_ms.items()]
    yield from table(("engine, by batch", *next(iter(gpu_ms.values()))), rows)
    yield "\nOne frame of each camera at the same time, one subject in each: wall time, ms, until the last keypoints,"
    yield "without letterbox and decoding, which are the same either way.\n"
    ways = next(iter(clock_ms.values()))
    rows = [[way, *(significant(by_way[way]) for by_way in clock_ms.values())] for way in ways]
    yield from table(("way, by cameras", *clock_ms), rows)
    rest_ms = 0.0 if "why_not" in stages else sum(ms for stage, ms in stages["1"].items() if stage not in ENGINES)
    yield ""
    for n in clock_ms:
        share = 100 * saved_share(gpu_ms, int(n), rest_ms)
        yield f"- batching {n} cameras saves {share:.0f} % of the GPU time per frame{_capacity(clock_ms, int(n), loop)}"
    period_ms = 1000 / RATE_HZ
    yield f"\nA batch that waits for its last frame costs up to a frame period, {period_ms:.0f} ms at {RATE_HZ} Hz."
    if loop is not None:
        yield _batching_verdict(camera_capacity(clock_ms, int(n), loop["1"]["p50"], RATE_HZ) for n in clock_ms)


def _capacity(clock_ms: Figures, cameras: int, loop: Figures | None) -> str:
    if loop is None:
        return ""
    alone, batched = camera_capacity(clock_ms, cameras, loop["1"]["p50"], RATE_HZ)
    return f"; cameras at {RATE_HZ} Hz the loop can process: {alone} one by one, {batched} in such batches"


def _batching_verdict(numbers: Iterable[tuple[int, int]]) -> str:
    """Return a sentence on the best of `numbers`: cameras processed one by one, and in batches of each size."""
    rows = list(numbers)
    alone, most = rows[0][0], max(batched for _, batched in rows)
    if most <= alone:
        return "Batching does not pay here: the loop processes no more cameras in batches."
    return f"Batching pays here for more than {alone} cameras on the GPU, up to {most}; for fewer it only adds delay."


def _engines(engines: Figures, loop: Figures | None, subjects: Sequence[int]) -> Iterator[str]:
    yield from table(("engine", "batch", "ms"), engine_rows(engines))
    if loop is not None:
        ratios = loop_per_engines(engines, loop, subjects)
        text = ", ".join(significant(ratios[str(n)]) for n in subjects)
        yield f"\nLoop over engines, by subjects {', '.join(map(str, subjects))}: {text}."


def _stages(stages: Figures, loop: Figures | None, subjects: Sequence[int]) -> Iterator[str]:
    names = list(stages[str(subjects[0])])
    rows = [[name, *(significant(stages[str(n)][name]) for n in subjects)] for name in names]
    if loop is not None:
        yield "![stages of a frame](stages.webp)\n"
        rows.append(["host", *(significant(host_ms(stages, loop, n)) for n in subjects)])
    yield "By subjects, ms: medians between CUDA events, each frame enqueued before the GPU starts, without"
    yield "graphs. `host` is the rest of the default loop: launch, wake-up, reading results; 0 where the loop"
    yield "took less than the sum of the stages.\n"
    yield from table(("stage", *map(str, subjects)), rows)


def _steady(steady: Figures) -> Iterator[str]:
    yield (
        "Over {frames} frames ({minutes} min) the GPU's memory grew by {gpu_bytes} bytes, the host's by {host_mb} MB."
    ).format(**steady)


def beside_peers(found: Figures) -> Iterator[str]:
    rows = found["people"]
    if rows:
        yield from bench.time_rows(rows)
        yield from bench.core_rows(rows)
        if all("keypoints_px" in row for row in rows.values()):
            yield from bench.distance_rows(rows)
        yield from bench.people_rows(rows)
        yield ""
    yield from (f"- {name}: not measured: {reason}" for name, reason in found["absent"].items())


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
