"""The page of tools/reports/engines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tools.reports.writer import environment_line, number, table

TRIED = """\
Leaving out the convolutions that change the outputs most does not help the shift of `rtmpose-t-coco17` before hardly
any is left (8.2 px with 16 of 38 in FP32, 3.9 with 32), nor does correcting the mean of each channel."""
SPEED = """\
On two cores OpenVINO makes 1.33 times as many frames a second in INT8 as ONNX Runtime in FP32 with one person, and 1.40
times with four ([bench](../bench/README.md), common configurations). On ONNX Runtime INT8 is slower than FP32 there,
and the trial at the first start does not choose it."""
EMULATED = """\
The CUDA backend on a driver that runs kernels on the CPU (`make cuda`): on 25 frames of the clip it gives the same
boxes as the numpy definitions and every keypoint within 0.0001 px."""
BUILT = """\
`python -m tools.precision.engines DATA`: TensorRT-RTX builds every model that could be had, in FP32, FP16 and INT8, on
a machine without a GPU, for all batch sizes of its card. These engines were not run. Seconds are CPU time. Untrained:
the net of the card with random weights, where its published weights were not at hand."""
DRIFT = """\
On ONNX Runtime, on {} photographs; every tensor that the graph holds in FP16 is rounded. Keypoints, joints and depths:
95 of 100 are nearer. Boxes and scores: the mean over photographs of the worst."""
LOST = """\
Against FP32, on `real/val` (people and horses in photographs), `lsp/val_full` (gymnasts) and 240 rendered people in
space; below zero: gained. A model of the package has its INT8 beside its card where no figure loses more than a
hundredth, or 2 mm. Published weights whose sha256 is no card's have none; they were measured on {first} photographs of
each kind. {left_out}"""
LEFT_OUT = """\
{tried} convolutions were left in FP32, those first whose quantisation changes the outputs most, until no more than that
was lost."""


def page(found: Mapping[str, Any], pictures: int) -> list[str]:
    rows = found["models"]
    failed = [
        f"- {name} in {precision.upper()}: {one['failed']}"
        for name, row in rows.items()
        for precision, one in row["built"].items()
        if "failed" in one
    ]
    return [
        "# Building engines",
        "",
        BUILT,
        "",
        environment_line(found["environment"]),
        "",
        *table(
            ("model", "weights", "prepared, s", "FP32: s", "MB", "FP16: s", "MB", "INT8: s", "MB", "peak RSS, MB"),
            (_built(name, row) for name, row in rows.items()),
        ),
        "",
        *([*failed, ""] if failed else []),
        "## How far they are from FP32",
        "",
        DRIFT.format(pictures),
        "",
        *table(("model", "FP16", "INT8"), _drifts(rows)),
        "",
        "## What INT8 loses",
        "",
        LOST.format(first=found["first"] or "all", left_out=_left_out(found["left_out"])),
        "",
        *table(("model", "convolutions in FP32", "lost", "offered"), _losses(rows), align="left"),
        "",
        SPEED,
        "",
        TRIED,
        "",
        EMULATED,
    ]


def _left_out(tried: Sequence[int]) -> str:
    return LEFT_OUT.format(tried=", ".join(map(str, tried))) if any(tried) else "No convolution was left in FP32."


def _built(name: str, row: Mapping[str, Any]) -> list[str]:
    built = row["built"]
    cells = [
        cell
        for precision in ("fp32", "fp16", "int8")
        for cell in (number(built[precision].get("build_s"), 1), number(built[precision].get("engine_mb"), 1))
    ]
    most = max((one["peak_rss_mb"] for one in built.values() if one.get("peak_rss_mb")), default=None)
    return [name, row["origin"], number(max(one["prepare_s"] for one in built.values()), 1), *cells, number(most, 0)]


def _drifts(rows: Mapping[str, Any]) -> Iterator[list[str]]:
    for name, row in rows.items():
        half, int8 = (row["built"][precision]["drift"] for precision in ("fp16", "int8"))
        if half is not None:
            yield [name, drift_text(row["task"], half), drift_text(row["task"], int8) if row["int8"] else "-"]


def drift_text(task: str, drift: Mapping[str, float]) -> str:
    """Return what of a drift is of the task."""
    if task == "detect":
        return f"box IoU {drift['iou_mean']:.3f}, score {drift['score_mean']:.3f}"
    if task == "pose":
        return f"{drift['shift_p95_px']:.1f} px, score {drift['score_mean']:.3f}"
    if task == "lift":
        return f"{drift['shift_p95_mm']:.1f} mm"
    return f"{drift['shift_p95_px']:.2f} px, depth {100 * drift['depth_p95']:.2f} %"


def _losses(rows: Mapping[str, Any]) -> Iterator[list[str]]:
    for name, row in rows.items():
        if int8 := row["int8"]:
            lost = "; ".join(f"{figure} {loss_text(figure, value)}" for figure, value in int8["lost"].items())
            offered = "no" if int8["faults"] else "yes" if row["origin"] == "in the package" else "no: other weights"
            yield [name, str(int8["fp32"]), lost, offered]


def loss_text(figure: str, value: float) -> str:
    return f"{value:.2f}" if figure.endswith((" mm", " %")) else f"{value:.3f}"
