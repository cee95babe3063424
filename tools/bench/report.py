"""The benchmark's report in Markdown, and the guard over its ratios."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tools.reports.writer import environment_line, table, table_row

Figures = Mapping[str, Any]

SLACK = 1.1  # a ratio may be so much worse than earlier: what two runs of one machine differ by
QUIET = 0.2  # cores that others may use before the figures are called disturbed
COMMAND = "python -m tools.bench"


def ratios(figures: Figures) -> dict[str, tuple[float, bool]]:
    """What may be compared between runs and machines, and whether more is better."""
    found = {}
    for people, row in figures["peers"].items():
        found[f"{people} people: loop / sessions"] = row["loop_per_sessions"], False
        found |= {f"{people} people: frames/s over {peer}'s": (value, True) for peer, value in row["speedup"].items()}
    if subjects := figures.get("subjects"):
        found["a further subject / the first frame"] = subjects["slope"] / subjects["ms"]["1"], False
    return found


def worse(figures: Figures, earlier: Figures) -> list[str]:
    """The ratios that are worse than those of an earlier run by more than the slack."""
    before = ratios(earlier)
    told = []
    for name, (now, more_is_better) in ratios(figures).items():
        if name not in before:
            continue
        was = before[name][0]
        if now < was / SLACK if more_is_better else now > was * SLACK:
            told.append(f"{name}: {now:.3f}, was {was:.3f}")
    return told


def environment(figures: Figures) -> Iterator[str]:
    """What was measured on, and with what."""
    yield environment_line({name: value for name, value in figures["environment"].items() if name != "others_cores"})
    yield from _noise(figures)


def _noise(figures: Figures) -> Iterator[str]:
    if (others := figures["environment"]["others_cores"]) > QUIET:
        yield f"\nOther work took {others:.1f} cores meanwhile: milliseconds are too long, loop / sessions too near 1."


def page(figures: Figures) -> Iterator[str]:
    """The whole report, line by line."""
    yield f"# Speed\n\nRemade by `{COMMAND}`. Milliseconds are of one run on one machine; contenders took turns, so"
    yield "compare within a table. A frame is a photograph of Leeds Sports Pose before which the camera sways, or a"
    yield "grid of them.\n"
    yield from environment(figures)
    yield "\n## The same models and frames, three ways\n"
    yield from _peers(figures["peers"])
    yield "\n## The configurations people compare\n"
    yield from _configurations(figures["configurations"])
    yield "\n## Where a frame's time goes\n\n![stages of a frame](stages.webp)\n"
    yield from _costs(figures)
    if batches := figures.get("batches"):
        yield from _batches(batches)
    yield "\n## Growth\n\n![growth](growth.webp)\n"
    yield from _growth(figures)


def _peers(rows: Mapping[str, Figures]) -> Iterator[str]:
    yield from beside(rows)
    yield table_row(("loop / sum of sessions", *(f"{row['loop_per_sessions']:.3f}" for row in rows.values())))
    yield table_row(("host, ms (loop less sessions)", *(f"{row['host_ms']:.2f}" for row in rows.values())))
    yield from cores(rows)
    kept = ["{peak:.0f} / {kept:.2f}".format(**row["allocated_kb"]) for row in rows.values()]
    yield table_row(("edged allocates in a frame / leaves behind, kB", *kept))
    yield from apart(rows)
    yield from uneven(rows)


def beside(rows: Mapping[str, Figures]) -> Iterator[str]:
    """Everybody's times by the number of people, ours first."""
    names = _names(rows)
    yield table_row(("", *(_people(people) for people in rows)))
    yield table_row(("---", *("---:" for _ in rows)))
    for name in names:
        cells = ["{p50:.1f} / {p95:.1f} / {p99:.1f}".format(**row["ms"][name]) for row in rows.values()]
        yield table_row((f"{name}: ms p50 / p95 / p99", *cells))
    for name in names:
        yield table_row((f"{name}: frames/s", *(f"{row['ms'][name]['frames_per_s']:.1f}" for row in rows.values())))
    for name in names[1:]:
        yield table_row(
            (f"edged / {name}, frames/s by medians", *(f"{row['speedup'][name]:.2f}" for row in rows.values()))
        )
    for name in names[1:]:
        longer = [", ".join(row["longest"][name]) or "never" for row in rows.values()]
        yield table_row((f"latency longer than {name}'s", *longer))


def cores(rows: Mapping[str, Figures]) -> Iterator[str]:
    for name in _names(rows):
        yield table_row((f"{name}: cores in use", *(f"{row['cores_used'][name]:.2f}" for row in rows.values())))


def apart(rows: Mapping[str, Figures]) -> Iterator[str]:
    told = [
        "{p99:.2f} / {max:.2f}, {beyond_half_a_pixel} of {count}".format(**r["keypoints_px"]) for r in rows.values()
    ]
    yield table_row(("keypoints apart from rtmlib's, px p99 / max, beyond 0.5", *told))


def uneven(rows: Mapping[str, Figures]) -> Iterator[str]:
    """Where somebody did not do the same work as the others; and how much was measured."""
    told = [
        ", ".join(f"{name} {count}" for name, count in r["uneven"].items() if count) or "none" for r in rows.values()
    ]
    yield table_row(("frames with another number of people", *told))
    yield f"\n{next(iter(rows.values()))['runs']} measured frames of each per column, after warm-up."


def _configurations(rows: Iterable[Figures]) -> Iterator[str]:
    yield "One subject, starter models (RTMDet-nano 416x256, RTMPose-t), the CPU backend around whatever runs them.\n"
    yield table_row(("", "ms p50 / p95 / p99", "frames/s", "loop / sessions"))
    yield table_row(("---", "---:", "---:", "---:"))
    for row in rows:
        if why := row.get("why_not"):
            yield table_row((row["name"], f"not measured: {why}", "", ""))
        else:
            ratio = f"{row['loop_per_sessions']:.2f}" if "loop_per_sessions" in row else ""
            ms = row["ms"]
            yield table_row(
                (row["name"], "{p50:.1f} / {p95:.1f} / {p99:.1f}".format(**ms), f"{ms['frames_per_s']:.0f}", ratio)
            )


def _costs(figures: Figures) -> Iterator[str]:
    costs, one = figures["costs"], figures["peers"]["1"]
    stages = sorted(one["stage_ms"].items(), key=lambda stage: -stage[1])
    whole = sum(one["stage_ms"].values())
    told = ", ".join(f"{name} {cost:.2f} ms ({100 * cost / whole:.0f} %)" for name, cost in stages[:3])
    yield f"The three dearest at one person: {told}. The first two are ONNX Runtime's own:\n"
    yield table_row(("model", "ms, all threads", "ms, one thread", "GFLOP/s", "its operators"))
    yield table_row(("---", "---:", "---:", "---:", "---"))
    for name, row in costs["models"].items():
        shares = ", ".join(f"{kind} {100 * share:.0f} %" for kind, share in row["operators"].items())
        yield table_row((name, f"{row['ms']:.2f}", f"{row['ms_one_thread']:.2f}", f"{row['gflops']:.0f}", shares))
    yield f"\nA product of matrices reaches {costs['product_gflops']:.0f} GFLOP/s here: what is left to gain lies in"
    yield "the models' many small and depthwise convolutions, not in our loop."


def _batches(batches: Mapping[str, Figures]) -> Iterator[str]:
    yield "\nFrames of several cameras as one batch, CPU ms an image on one thread:\n"
    names = next(iter(batches.values()))
    yield table_row(("model", *(f"batch {n}" for n in names)))
    yield table_row(("---", *("---:" for _ in names)))
    for model, by_batch in batches.items():
        yield table_row((model, *(f"{ms:.2f}" for ms in by_batch.values())))


def _growth(figures: Figures) -> Iterator[str]:
    subjects, sizes, cameras = figures["subjects"], figures["sizes"], figures["cameras"]
    yield _series("subjects", subjects["ms"], "ms")
    yield f"\n{subjects['slope']:.2f} ms per subject, {subjects['at_0']:.1f} ms without; R² {subjects['r2']:.3f}.\n"
    yield _series("picture", {sizes["names"][key]: value for key, value in sizes["ms"].items()}, "ms")
    yield f"\n{sizes['slope']:.2f} ms per megapixel; R² {sizes['r2']:.3f}.\n"
    yield table_row(("cameras", "cores", "CPU ms/frame", "RSS MB", "age when done, ms p50 / p95 / p99", "frame ledger"))
    yield table_row(("---", "---:", "---:", "---:", "---:", "---"))
    for count, row in cameras["cameras"].items():
        book = row["ledger"]
        told = (
            f"{book['captured']} = {book['processed']} processed + {book['dropped']} dropped + {book['failed']} failed"
        )
        late = "{p50:.1f} / {p95:.1f} / {p99:.1f}".format(**row["late_ms"])
        yield table_row(
            (count, f"{row['cores']:.2f}", f"{row['cpu_ms_per_frame']:.1f}", f"{row['rss_mb']:.0f}", late, told)
        )
    cores = cameras["cores"]
    share, told = 100 * cores["slope"], f"R² {cores['r2']:.3f}"
    yield f"\nEach at {cameras['rate_hz']:g} Hz, one subject: {share:.1f} % of a core per camera; {told}."


def _series(name: str, costs: Mapping[str, float], unit: str) -> str:
    head, values = (name, *costs), (unit, *(f"{value:.1f}" for value in costs.values()))
    return "\n".join(table(head, [values]))


def _names(rows: Mapping[str, Figures]) -> list[str]:
    """Who took turns."""
    return list(next(iter(rows.values()))["ms"])


def _people(count: str) -> str:
    return f"{count} {'person' if count == '1' else 'people'}"
