"""The proof kit on a machine that can prove little: every question has an answer, and the report is what was signed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("cv2", reason="needs OpenCV; install edged[cpu]")
pytest.importorskip("onnxruntime", reason="needs ONNX Runtime; install edged[cpu]")

from edged.__main__ import main
from edged.config.tree import Config
from edged.hardware_report import report
from edged.hardware_report.ask import run_probe
from edged.hardware_report.loops import open_loop
from edged.hardware_report.plane import compare_with_cpu
from edged.hardware_report.probe import Bench, ReportRow, failed, not_possible
from edged.hardware_report.table import BY_NAME, PROBES
from tests.integration.recorded import video

README = Path(__file__).parents[2] / "README.md"
BOARD = ReportRow(subject="machine", figures={"board": "Orin Nano", "l4t": "36.4.3"})
BUILT = ReportRow(subject="det", figures={"build_s": 71.5})
ABSENT = not_possible("all of it", "no TensorRT")


def body(**found: list[ReportRow]) -> dict[str, Any]:
    return report.build_report(
        {"identity": [BOARD], **found}, version="1", operator="A. N.", at="2026-01-02T03", seconds=9
    )


def bench(folder: Path) -> Bench:
    return Bench(settings=Config(), folder=folder, seconds=0.1, flavour="tensorrt")


def test_every_row_is_a_figure_or_says_why_there_is_none(tmp_path: Path) -> None:
    configuration = tmp_path / "edged.toml"
    clip = video(tmp_path / "clip.mp4")
    configuration.write_text(f'models.store = "{tmp_path}"\ncameras.barn = {{ source = "{clip}", loop = true }}\n')
    asked = ["identity", "nodes", "builds", "copies", "v4l2-modes", "cameras"]
    arguments = [
        "hardware-report",
        "--config",
        str(configuration),
        "--out",
        str(tmp_path / "out"),
        "--seconds",
        "0.5",
        "--only",
    ]
    assert main([*arguments, *asked]) == 0
    written = json.loads((tmp_path / "out" / report.JSON).read_text())
    assert [one["probe"] for one in written["probes"]] == asked
    rows = [row for one in written["probes"] for row in one["rows"]]
    assert all(bool(row["figures"]) if row["state"] == "measured" else bool(row["why"]) for row in rows)
    (camera,) = next(one["rows"] for one in written["probes"] if one["probe"] == "cameras")
    assert camera["figures"]["frames_per_s"] > 0
    assert main(["hardware-report", "--verify", str(tmp_path / "out")]) == 0


def test_a_figure_changed_after_signing_is_found(tmp_path: Path) -> None:
    report.write(tmp_path, body(builds=[BUILT]))
    assert report.signature_error(tmp_path) == ""
    altered = (tmp_path / report.JSON).read_text().replace("71.5", "31.5")
    (tmp_path / report.JSON).write_text(altered)
    assert "is not what" in report.signature_error(tmp_path)
    assert main(["hardware-report", "--support", str(tmp_path)]) == 1


def test_a_page_that_is_damaged_is_found(tmp_path: Path) -> None:
    report.write(tmp_path, body(builds=[BUILT]))
    (tmp_path / report.MARKDOWN).write_bytes(b"\xff\x00")
    assert report.signature_error(tmp_path).endswith("carries no hash")


def test_where_nothing_can_be_written_nothing_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert main(["hardware-report", "--only", "identity", "--out", str(tmp_path / "file")]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.endswith("file: File exists; give --out a folder that can be written\n")


def test_the_page_names_the_board_the_operator_and_what_could_not_be_shown(tmp_path: Path) -> None:
    report.write(tmp_path, body(builds=[ABSENT]))
    page = (tmp_path / report.MARKDOWN).read_text()
    assert page.startswith("# What Orin Nano, L4T 36.4.3 showed")
    assert "Operator: A. N." in page
    assert "**not possible here**: no TensorRT" in page


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        pytest.param([BUILT], "measured on Orin Nano, L4T 36.4.3, 2026-01-02", id="measured"),
        pytest.param([BUILT, failed("pose", "crashed")], "1 of 2 failed on Orin Nano", id="failed"),
        pytest.param([ABSENT], "not run on hardware yet", id="not possible"),
    ],
)
def test_the_support_table_says_what_was_seen_where(rows: list[ReportRow], said: str) -> None:
    lines = [
        line for line in report.support_table([body(builds=rows)]) if line.startswith("| TensorRT engines, building")
    ]
    assert len(lines) == 1
    assert said in lines[0]


def test_a_camera_on_usb_says_nothing_of_csi() -> None:
    usb, csi = (ReportRow(subject=f"barn ({kind})", figures={"frames_per_s": 30.0}) for kind in ("v4l2", "csi"))
    told = [
        line
        for rows in ([usb], [usb, csi])
        for line in report.support_table([body(cameras=rows)])
        if line.startswith("| CSI")
    ]
    assert ["not run on hardware yet" in line for line in told] == [True, False]


def test_what_probes_speak_for_are_rows_of_the_readme() -> None:
    text = README.read_text("utf-8")
    assert [probe.support_row for probe in PROBES if f"\n| {probe.support_row}" not in text and probe.support_row] == []


def test_a_probe_that_never_ends_costs_its_own_rows(tmp_path: Path) -> None:
    (row,) = run_probe(replace(BY_NAME["identity"], timeout_s=-0.05), bench(tmp_path), None)
    assert (row.state, row.why) == ("failed", "no end after 0.05 s")


def test_a_probe_that_dies_costs_its_own_rows(tmp_path: Path) -> None:
    (tmp_path / "wrong.toml").write_text("nonsense = 1\n")
    (row,) = run_probe(BY_NAME["identity"], bench(tmp_path), tmp_path / "wrong.toml")
    assert row.state == "failed"
    assert row.why.startswith("ended with code 1: ")


def test_planes_that_see_the_same_are_no_pixel_apart(tmp_path: Path) -> None:
    with open_loop(Config()) as run:
        row = compare_with_cpu(bench(tmp_path), run)
    assert (row.state, row.figures["px_p99"], row.figures["seen_by_one_only"]) == ("measured", 0, 0)
    assert row.figures["keypoints"]
