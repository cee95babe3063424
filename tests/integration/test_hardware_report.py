"""The hardware report on a machine without the hardware: every probe has rows, and a changed report is detected."""

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
from edged.hardware_report.models import compare_with_cpu, open_loop
from edged.hardware_report.probe import Bench, ReportRow, failed, not_possible
from edged.hardware_report.runner import BY_NAME, PROBES, run_probe
from tests.support.recorded import video

README = Path(__file__).parents[1] / "README.md"
BOARD = ReportRow(subject="machine", figures={"board": "Orin Nano", "l4t": "36.4.3"})
BUILT = ReportRow(subject="det", figures={"build_s": 71.5})
ABSENT = not_possible("all of it", "no TensorRT")


def content(**rows: list[ReportRow]) -> dict[str, Any]:
    return report.build_report(
        {"identity": [BOARD], **rows}, version="1", operator="A. N.", at="2026-01-02T03", seconds=9
    )


def bench(folder: Path) -> Bench:
    return Bench(settings=Config(), folder=folder, seconds=0.1, flavour="tensorrt")


def test_report_rows_have_figures_or_a_reason(tmp_path: Path) -> None:
    configuration = tmp_path / "edged.toml"
    clip = video(tmp_path / "clip.mp4")
    configuration.write_text(f'models.store = "{tmp_path}"\ncameras.barn = {{ source = "{clip}", loop = true }}\n')
    names = ["identity", "nodes", "builds", "copies", "v4l2-modes", "cameras"]
    options = f"--config {configuration} --out {tmp_path / 'out'} --seconds 0.5 --only".split()
    assert main(["hardware-report", *options, *names]) == 0
    written = json.loads((tmp_path / "out" / report.JSON).read_text())
    assert [one["probe"] for one in written["probes"]] == names
    rows = [row for one in written["probes"] for row in one["rows"]]
    assert all(bool(row["figures"]) if row["state"] == "measured" else bool(row["why"]) for row in rows)
    (camera,) = next(one["rows"] for one in written["probes"] if one["probe"] == "cameras")
    assert camera["figures"]["frames_per_s"] > 0
    assert main(["hardware-report", "--verify", str(tmp_path / "out")]) == 0


def test_changed_figure_breaks_the_signature(tmp_path: Path) -> None:
    report.write(tmp_path, content(builds=[BUILT]))
    assert report.signature_error(tmp_path) == ""
    altered = (tmp_path / report.JSON).read_text().replace("71.5", "31.5")
    (tmp_path / report.JSON).write_text(altered)
    assert "does not have the hash" in report.signature_error(tmp_path)
    assert main(["hardware-report", "--support", str(tmp_path)]) == 1


def test_damaged_page_has_no_signature(tmp_path: Path) -> None:
    report.write(tmp_path, content(builds=[BUILT]))
    (tmp_path / report.MARKDOWN).write_bytes(b"\xff\x00")
    assert report.signature_error(tmp_path).endswith("holds no hash")


def test_unwritable_folder_is_rejected_before_measuring(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert main(["hardware-report", "--only", "identity", "--out", str(tmp_path / "file")]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "--out" in printed.err


def test_page_names_board_operator_and_missing_figures(tmp_path: Path) -> None:
    report.write(tmp_path, content(builds=[ABSENT]))
    page = (tmp_path / report.MARKDOWN).read_text()
    assert page.startswith("# Hardware report: Orin Nano, L4T 36.4.3\n")
    assert "Operator: A. N." in page
    assert "**not possible here**: no TensorRT" in page


@pytest.mark.parametrize(
    ("rows", "result"),
    [
        pytest.param([BUILT], "measured on Orin Nano, L4T 36.4.3, 2026-01-02", id="measured"),
        pytest.param([BUILT, failed("pose", "crashed")], "1 of 2 failed on Orin Nano", id="failed"),
        pytest.param([ABSENT], "not run on hardware yet", id="not possible"),
    ],
)
def test_support_table_has_result_board_and_date(rows: list[ReportRow], result: str) -> None:
    lines = [
        line for line in report.support_table([content(builds=rows)]) if line.startswith("| TensorRT engines, building")
    ]
    assert len(lines) == 1
    assert result in lines[0]


def test_support_table_usb_camera_does_not_decide_csi() -> None:
    usb, csi = (ReportRow(subject=f"barn ({kind})", figures={"frames_per_s": 30.0}) for kind in ("v4l2", "csi"))
    csi_lines = [
        line
        for rows in ([usb], [usb, csi])
        for line in report.support_table([content(cameras=rows)])
        if line.startswith("| CSI")
    ]
    assert ["not run on hardware yet" in line for line in csi_lines] == [True, False]


def test_support_rows_of_probes_are_in_the_readme() -> None:
    text = README.read_text("utf-8")
    assert [probe.support_row for probe in PROBES if f"\n| {probe.support_row}" not in text and probe.support_row] == []


def test_probe_over_its_time_limit_has_a_failed_row(tmp_path: Path) -> None:
    (row,) = run_probe(replace(BY_NAME["identity"], timeout_s=-0.05), bench(tmp_path), None)
    assert (row.state, row.why) == ("failed", "not finished after 0.05 s")


def test_crashed_probe_has_a_failed_row(tmp_path: Path) -> None:
    (tmp_path / "wrong.toml").write_text("nonsense = 1\n")
    (row,) = run_probe(BY_NAME["identity"], bench(tmp_path), tmp_path / "wrong.toml")
    assert row.state == "failed"
    assert row.why.startswith("ended with code 1: ")


def test_equal_backends_have_no_keypoint_distance(tmp_path: Path) -> None:
    with open_loop(Config()) as run:
        row = compare_with_cpu(bench(tmp_path), run)
    assert (row.state, row.figures["px_p99"], row.figures["subjects_of_one_only"]) == ("measured", 0, 0)
    assert row.figures["keypoints"]
