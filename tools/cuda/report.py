"""The figures of one GPU as a page, and what of them is drawn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tools.bench import report as bench

Figures = dict[str, Any]


def markdown(found: Figures) -> str:
    return "\n".join(_lines(found)) + "\n"


def bars(found: Figures) -> dict[str, dict[str, float]]:
    """A frame by number of subjects: its stages on the GPU, and what the loop takes beyond them."""
    stages, loop = found["stages"], found["loops"]["as it is"]
    if "why_not" in stages:
        return {}
    return {
        f"CUDA plane, {n} subject{'s' if n > 1 else ''}": {**stages[str(n)], "host": host_ms(stages, loop, n)}
        for n in found["effort"]["subjects"]
    }


def host_ms(stages: Figures, loop: Figures, subjects: int) -> float:
    """What of a frame is not the GPU's work: handing it over, waking up, reading what came back."""
    return float(max(0.0, loop[str(subjects)]["p50"] - sum(stages[str(subjects)].values())))


def _lines(found: Figures) -> Iterator[str]:
    gpu, subjects = found["gpu"], found["effort"]["subjects"]
    yield f"# The CUDA plane on {gpu['gpu']} (compute capability {gpu['sm']}, driver CUDA {gpu['driver']})\n"
    yield from bench.environment({"environment": {**found["environment"], "others_cores": found["others_cores"]}})
    yield ""
    yield from (f"- {name}: {said}" for name, said in found["checks"].items())
    yield "\n## Engines alone, ms on the GPU\n"
    yield from table(("engine", "batch", "ms"), engine_rows(found["engines_ms"]))
    yield "\n## A frame, ms: p50, and what of it the host's thread works\n"
    yield from table(
        ("way", "graphs", "frames", *map(str, subjects), "ms per subject"), loop_rows(found["loops"], subjects)
    )
    if not found["loops"]["as it is"]["graphs"]:
        yield "\nThe work of these engines cannot become part of a CUDA graph: what graphs gain is not measured."
    ratios = [number(found["loop_per_engines"][str(n)]) for n in subjects]
    yield f"\nLoop over engines, by subjects {', '.join(map(str, subjects))}: {', '.join(ratios)}."
    yield "\n## Where a frame's time goes\n"
    yield from _stages(found["stages"], found["loops"]["as it is"], subjects)
    yield "\n## Beside peers on this GPU\n"
    yield "Everybody takes turns on the same photographs, in FP32 as each library does it by default. Around PyTorch's"
    yield "nets letterbox, crops and decoding are our CPU plane's, as in `python -m tools.bench`."
    yield "\n### Starter models: RTMDet-nano 416x256, RTMPose-t\n"
    yield from beside_peers(found["starters"])
    yield "\n### RTMDet-nano as published, 320x320, NMS inside, and RTMPose-t\n"
    yield from beside_peers(found["published"])
    yield "\n## Bandwidth\n"
    yield from table(("what", "MB moved", "ms", "GB/s"), bandwidth_rows(found["bandwidth"]))
    yield "\n## Memory\n"
    yield (
        "Over {frames} frames ({minutes} min) the GPU's memory grew by {gpu_bytes} bytes, the host's by {host_mb} MB."
    ).format(**found["steady"])


def _stages(stages: Figures, loop: Figures, subjects: Sequence[int]) -> Iterator[str]:
    if why := stages.get("why_not"):
        yield f"not measured: {why}"
        return
    yield "![stages of a frame](stages.webp)\n"
    yield "By subjects, ms: medians between CUDA events, each frame whole on its stream before the GPU begins, without"
    yield "graphs. `host` is the rest of the loop as it is: handing over, waking up, reading what came back; 0 where"
    yield "the loop took less than the stages together.\n"
    names = list(stages[str(subjects[0])])
    rows = [[name, *(number(stages[str(n)][name]) for n in subjects)] for name in names]
    rows.append(["host", *(number(host_ms(stages, loop, n)) for n in subjects)])
    yield from table(("stage", *map(str, subjects)), rows)


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


def table(head: tuple[str, ...], rows: Iterable[Iterable[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (head, ("---",) * len(head), *rows)]


def engine_rows(engines: Figures) -> list[list[str]]:
    return [[name, batch, number(ms)] for name, by_batch in engines.items() for batch, ms in by_batch.items()]


def loop_rows(loops: Figures, subjects: Sequence[int]) -> list[list[str]]:
    return [
        [way, "yes" if by["graphs"] else "no", by["frames"],
         *(f"{number(by[str(n)]['p50'])} ({number(by[str(n)]['host_ms'])})" for n in subjects),
         number(by["ms_per_subject"])]
        for way, by in loops.items()
    ]  # fmt: skip


def bandwidth_rows(moved: Figures) -> list[list[str]]:
    return [
        [name, number(part["bytes"] / 1e6), number(part["ms"]), number(part["gb_per_s"])]
        for name, part in moved.items()
    ]


def number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"
