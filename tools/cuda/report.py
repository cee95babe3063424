"""The figures of one GPU as a page."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tools.cuda.figures import SUBJECTS


def markdown(found: dict[str, Any]) -> str:
    gpu = found["machine"]
    lines = [f"# The CUDA plane on {gpu['gpu']} (compute capability {gpu['sm']}, driver CUDA {gpu['driver']})", ""]
    lines += [f"- {name}: {said}" for name, said in found.get("checks", {}).items()]
    lines += ["", "Engines alone, ms on the GPU:", ""]
    lines += table(("engine", "batch", "ms"), engine_rows(found["engines_ms"]))
    lines += ["", "A frame, ms (p50, and what of it the host's thread works):", ""]
    lines += table(("way", *map(str, SUBJECTS), "ms per subject"), loop_rows(found["loops"]))
    ratios = [number(found["loop_per_engines"][str(n)]) for n in SUBJECTS]
    lines += ["", f"Loop over engines, by subjects {', '.join(map(str, SUBJECTS))}: {', '.join(ratios)}.", ""]
    lines += table(("what", "MB moved", "ms", "GB/s"), bandwidth_rows(found["bandwidth"]))
    steady = found["steady"]
    lines += [
        "",
        f"Over {steady['frames']} frames ({steady['minutes']} min) the GPU's memory grew by {steady['gpu_bytes']} "
        f"bytes, the host's by {steady['host_mb']} MB.",
        "",
    ]
    return "\n".join(lines)


def table(head: tuple[str, ...], rows: Iterable[Iterable[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (head, ("---",) * len(head), *rows)]


def engine_rows(engines: dict[str, Any]) -> list[list[str]]:
    return [[name, batch, number(ms)] for name, by_batch in engines.items() for batch, ms in by_batch.items()]


def loop_rows(loops: dict[str, Any]) -> list[list[str]]:
    return [
        [way, *(f"{number(by[str(n)]['p50'])} ({number(by[str(n)]['host_ms'])})" for n in SUBJECTS),
         number(by["ms_per_subject"])]
        for way, by in loops.items()
    ]  # fmt: skip


def bandwidth_rows(moved: dict[str, Any]) -> list[list[str]]:
    return [
        [name, number(part["bytes"] / 1e6), number(part["ms"]), number(part["gb_per_s"])]
        for name, part in moved.items()
    ]


def number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"
