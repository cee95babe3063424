"""The benchmark's report in Markdown, and the comparison of its ratios with an earlier report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tools.reports.writer import environment_line, table, table_row

Figures = Mapping[str, Any]

TOLERANCE = 1.1  # factor by which a ratio may be worse than before: the spread of runs on one machine
OPENVINO = "edged, OpenVINO"  # a contender's name
QUIET = 0.2  # cores used by other processes above which the report warns
COMMAND = "python -m tools.bench"


def ratios(figures: Figures) -> dict[str, tuple[float, bool]]:
    """Return the ratios that can be compared between runs and machines, and whether higher is better."""
    found = {}
    for people, row in figures["peers"].items():
        found[f"{people} people: loop / sessions"] = row["loop_per_sessions"], False
        found |= {f"{people} people: frames/s over {peer}'s": (value, True) for peer, value in row["speedup"].items()}
    if subjects := figures.get("subjects"):
        found["a further subject / the first frame"] = subjects["slope"] / subjects["ms"]["1"], False
    return found


def regressions(figures: Figures, earlier: Figures) -> list[str]:
    """Return a line for each ratio that is worse than in an earlier run by more than the tolerance."""
    before = ratios(earlier)
    text = []
    for name, (now, more_is_better) in ratios(figures).items():
        if name not in before:
            continue
        was = before[name][0]
        if now < was / TOLERANCE if more_is_better else now > was * TOLERANCE:
            text.append(f"{name}: {now:.3f}, was {was:.3f}")
    return text


def environment(figures: Figures) -> Iterator[str]:
    """Yield the lines on machine, versions and other load."""
    yield environment_line({name: value for name, value in figures["environment"].items() if name != "others_cores"})
    yield from _noise(figures)


def _noise(figures: Figures) -> Iterator[str]:
    if (others := figures["environment"]["others_cores"]) > QUIET:
        yield f"\nOther processes used {others:.1f} cores: times are too long, and loop / sessions is too close to 1."


def page(figures: Figures) -> Iterator[str]:
    """Yield the lines of the report."""
    yield f"# Speed\n\nRemade by `{COMMAND}`. Times are of one run on one machine, contenders in turn;"
    yield "compare within a table. A frame is a photograph of Leeds Sports Pose with simulated camera sway, or a"
    yield "grid of them.\n"
    yield from environment(figures)
    yield "\n## The same models and frames\n"
    yield from _peers(figures["peers"])
    yield "\n## Common configurations\n"
    yield from _configurations(figures["configurations"])
    yield "\n## Time by stage\n\n![stages of a frame](stages.webp)\n"
    yield from _costs(figures)
    if batches := figures.get("batches"):
        yield from _batches(batches)
    yield "\n## Growth\n\n![growth](growth.webp)\n"
    yield from _growth(figures)


def _peers(rows: Mapping[str, Figures]) -> Iterator[str]:
    yield from time_rows(rows)
    yield table_row(("loop / sum of sessions", *(f"{row['loop_per_sessions']:.3f}" for row in rows.values())))
    yield table_row(("host, ms (loop minus sessions)", *(f"{row['host_ms']:.2f}" for row in rows.values())))
    yield from core_rows(rows)
    allocated = ["{peak:.0f} / {retained:.2f}".format(**row["allocated_kb"]) for row in rows.values()]
    yield table_row(("edged allocates per frame / retains, kB", *allocated))
    yield from distance_rows(rows)
    yield from people_rows(rows)
    if OPENVINO in _names(rows):
        yield "rtmlib's OpenVINO computes in BF16 where the CPU has it, without being asked; ours where it says so."


def time_rows(rows: Mapping[str, Figures]) -> Iterator[str]:
    """Yield the rows of the times of all contenders by number of people, ours first."""
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
    if OPENVINO in names:
        cells = [f"{_fastest_ms(row, 'rtmlib') / _fastest_ms(row, 'edged'):.2f}" for row in rows.values()]
        yield table_row(("edged in FP32 / rtmlib, each on its faster library", *cells))
    for name in names[1:]:
        longer = [", ".join(row["longest"][name]) or "never" for row in rows.values()]
        yield table_row((f"latency longer than {name}'s", *longer))


def _fastest_ms(row: Figures, library: str) -> float:
    """Return the median time on the faster of ONNX Runtime and OpenVINO, ours in FP32."""
    return min(float(row["ms"][name]["p50"]) for name in (library, f"{library}, OpenVINO"))


def core_rows(rows: Mapping[str, Figures]) -> Iterator[str]:
    for name in _names(rows):
        yield table_row((f"{name}: cores in use", *(f"{row['cores_used'][name]:.2f}" for row in rows.values())))


def distance_rows(rows: Mapping[str, Figures]) -> Iterator[str]:
    text = [
        "{p99:.2f} / {max:.2f}, {beyond_half_a_pixel} of {count}".format(**r["keypoints_px"]) for r in rows.values()
    ]
    yield table_row(("distance of keypoints from rtmlib's, px p99 / max, more than 0.5", *text))


def people_rows(rows: Mapping[str, Figures]) -> Iterator[str]:
    """Yield the rows on frames with another number of people than wanted, and the number of frames."""
    text = [
        ", ".join(f"{name} {count}" for name, count in r["different_counts"].items() if count) or "none"
        for r in rows.values()
    ]
    yield table_row(("frames with another number of people", *text))
    yield f"\n{next(iter(rows.values()))['runs']} measured frames per contender and column, after warm-up."


def _configurations(rows: Iterable[Figures]) -> Iterator[str]:
    yield "The starter models with one person, or more where it says so; the CPU backend with each library.\n"
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
    text = ", ".join(f"{name} {cost:.2f} ms ({100 * cost / whole:.0f} %)" for name, cost in stages[:3])
    yield f"The three most expensive stages with one person: {text}. Time of the models by operator:\n"
    yield table_row(("model", "ms, all threads", "ms, one thread", "GFLOP/s", "operators"))
    yield table_row(("---", "---:", "---:", "---:", "---"))
    for name, row in costs["models"].items():
        shares = ", ".join(f"{kind} {100 * share:.0f} %" for kind, share in row["operators"].items())
        yield table_row((name, f"{row['ms']:.2f}", f"{row['ms_one_thread']:.2f}", f"{row['gflops']:.0f}", shares))
    yield f"\nA matrix product reaches {costs['product_gflops']:.0f} GFLOP/s here; the difference comes from the many"
    yield "small and depthwise convolutions of the models."


def _batches(batches: Mapping[str, Figures]) -> Iterator[str]:
    yield "\nFrames of several cameras, or several people, in one batch: CPU ms of each on one thread:\n"
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
    yield table_row(("cameras", "cores", "CPU ms/frame", "RSS MB", "age when done, ms p50 / p95 / p99", "frame counts"))
    yield table_row(("---", "---:", "---:", "---:", "---:", "---"))
    for count, row in cameras["cameras"].items():
        counts = row["frame_counts"]
        text = "{captured} = {processed} processed + {dropped} dropped + {failed} failed".format(**counts)
        late = "{p50:.1f} / {p95:.1f} / {p99:.1f}".format(**row["late_ms"])
        yield table_row(
            (count, f"{row['cores']:.2f}", f"{row['cpu_ms_per_frame']:.1f}", f"{row['rss_mb']:.0f}", late, text)
        )
    cores = cameras["cores"]
    share, text = 100 * cores["slope"], f"R² {cores['r2']:.3f}"
    yield f"\nEach at {cameras['rate_hz']:g} Hz, one subject: {share:.1f} % of a core per camera; {text}."


def _series(name: str, costs: Mapping[str, float], unit: str) -> str:
    head, values = (name, *costs), (unit, *(f"{value:.1f}" for value in costs.values()))
    return "\n".join(table(head, [values]))


def _names(rows: Mapping[str, Figures]) -> list[str]:
    """Return the names of the contenders."""
    return list(next(iter(rows.values()))["ms"])


def _people(count: str) -> str:
    return f"{count} {'person' if count == '1' else 'people'}"
