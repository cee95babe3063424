"""A stall is drawn with `edged calibrate`, and its days are shown with `edged barn`."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from urllib.request import urlopen

import cv2
import numpy as np
import pytest

pytest.importorskip("cv2", reason="needs OpenCV; install edged[cpu]")

from edged.__main__ import main
from edged.behaviour.horse.day_log import MinuteCode, StallDay
from edged.config.load import load
from edged.drawing.day import ALARM, ALERT_LINES, LEFT, POSTURES, draw_day
from edged.frame import U8
from tools.demo import CLIP

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LIMIT_S = 60
SQUARE = "155,298 485,298 404,160 236,160"
FLOOR = "20,350 620,350 560,190 90,190"


def read_image(path: Path) -> U8:
    return np.asarray(cv2.imread(str(path)), np.uint8)


def calibrate(tmp_path: Path, *options: str) -> int:
    return main(["calibrate", "--source", str(CLIP), "--out", str(tmp_path / "grid.png"), *options])


def test_calibrate_without_options_writes_a_grid(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert calibrate(tmp_path) == 0
    assert "--floor" in capsys.readouterr().out
    assert read_image(tmp_path / "grid.png").shape == (720, 1280, 3)  # enlarged, with the image's own px


def test_calibrate_with_a_floor_prints_its_configuration_and_draws_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calibrate(tmp_path)
    grid = read_image(tmp_path / "grid.png")
    assert calibrate(tmp_path, "--floor", FLOOR, "--open", "0", "--zone", "feeder=60,150 120,150 120,210") == 0
    printed, file = capsys.readouterr().out, tmp_path / "edged.toml"
    file.write_text(printed[printed.index("[cameras") :] + '[cameras.snapshot]\nsource = "stall.mp4"\n')
    stall = load(file).cameras["snapshot"].stall
    assert stall.floor is not None
    assert (stall.floor[0], stall.open_sides, list(stall.zones)) == ((20, 350), (0,), ["feeder"])
    assert np.any(grid != read_image(tmp_path / "grid.png"))


def test_calibrate_writes_a_new_file_and_replaces_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "90-stall.toml"
    assert calibrate(tmp_path, "--floor", FLOOR, "--write", str(file)) == 0
    assert tomllib.loads(file.read_text())["cameras"]["snapshot"]["stall"]["floor"][0] == [20, 350]
    before = file.read_text()
    assert calibrate(tmp_path, "--floor", SQUARE, "--write", str(file)) == 1
    assert "is there already" in capsys.readouterr().err
    assert file.read_text() == before


def test_calibrate_with_a_floor_size_prints_the_camera_height(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert calibrate(tmp_path, "--floor", SQUARE, "--size", "4 4") == 0
    printed = capsys.readouterr().out
    assert "floor_m = [4.0, 4.0]" in printed
    assert "the camera hangs 3.0 m above it" in printed


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["--floor", SQUARE, "--size", "4"], "want two lengths in m"),
        (["--floor", "20,10 620,10 400,350 240,350", "--size", "4 4"], "no camera sees"),
        (["--floor", "20,350 560,190 620,350 90,190"], "crosses itself"),
        (["--floor", "20,350 2000,350 90,190"], "outside the image of 640 x 360 px"),
        (["--floor", "20,350 560"], "want pixels like"),
        (["--floor", "20,350 560,190"], "want at least 3"),
        (["--floor", FLOOR, "--open", "4"], "sides 0 to 3"),
        (["--zone", "20,350 560,190 1,1"], "no name"),
        (["--zone", "Feeder!=20,350 560,190 1,1"], "a-z"),
        (["--floor", "1e300,350 620,350 90,190"], "--floor[0][0] = 1e+300: must be -16384..16384 px; lower it"),
        (["--floor", SQUARE, "--size", "-4 4"], "--size[0] = -4.0: must be above 0, at most 50 m; raise it"),
    ],
)
def test_calibrate_with_a_wrong_drawing_names_it(
    options: list[str], error: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert calibrate(tmp_path, *options) == 2
    assert error in capsys.readouterr().err


def test_calibrate_serves_a_page_until_the_drawing_is_saved(tmp_path: Path) -> None:
    file = tmp_path / "90-stall.toml"
    options = ["--source", str(CLIP), "--median", "1", "--page", "--write", str(file)]
    with subprocess.Popen(
        [sys.executable, "-m", "edged", "calibrate", *options], stdout=subprocess.PIPE, text=True
    ) as command:
        assert command.stdout is not None
        address = next(
            found[0] for line in command.stdout if (found := re.search(r"http://127\.0\.0\.1:\d+/\S+/", line))
        )
        with urlopen(address, timeout=LIMIT_S) as page:
            assert b"calibrate.js" in page.read()
        floor = [[float(v) for v in point.split(",")] for point in FLOOR.split()]
        drawing = json.dumps({"stall": True, "floor": floor, "save": True}).encode()
        with urlopen(f"{address}drawing", drawing, timeout=LIMIT_S) as answer:
            assert json.load(answer)["saved"] is True
        assert command.wait(LIMIT_S) == 0
    assert tomllib.loads(file.read_text())["cameras"]["snapshot"]["stall"]["floor"][0] == [20, 350]


@pytest.mark.parametrize("port", ["-1", "70000"])
def test_calibrate_with_a_port_that_there_is_not_names_it(
    port: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert calibrate(tmp_path, "--page", "--port", port) == 2
    assert f"--port {port}" in capsys.readouterr().err


def config_with_a_day(folder: Path) -> Path:
    """A configuration whose state directory holds one stall's day."""
    day = StallDay("2027-01-15")
    day.add(2, {"lateral-s": 60.0})
    day.mark_minute(125, "lateral", "below", active=True)
    (folder / "stalls.json").write_text(json.dumps({"stall-1": [day.to_json()]}))
    file = folder / "edged.toml"
    file.write_text(f'[device]\nstate_dir = "{folder}"\n')
    return file


def test_barn_report_writes_the_day_as_a_picture(tmp_path: Path) -> None:
    file = config_with_a_day(tmp_path)
    assert main(["barn", "report", "--config", str(file), "--out", str(tmp_path / "day.png")]) == 0
    image = read_image(tmp_path / "day.png")
    assert tuple(image[120, LEFT + 125]) == POSTURES[MinuteCode.LATERAL]


def test_barn_report_with_json_prints_the_day(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["barn", "report", "--config", str(config_with_a_day(tmp_path)), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["hours"][2] == {"lateral-s": 60.0}


@pytest.mark.parametrize(
    ("options", "error"),
    [(["--day", "2027-01-16"], "there is: 2027-01-15"), (["nobody"], "there are days of: stall-1")],
)
def test_barn_report_of_a_day_that_is_not_there_lists_the_days(
    options: list[str], error: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["barn", "report", *options, "--config", str(config_with_a_day(tmp_path))]) == 2
    assert error in capsys.readouterr().err


def test_empty_day_is_drawn() -> None:
    assert draw_day("x", StallDay("2027-01-15")).any()


def test_alerts_close_to_each_other_have_their_own_lines_and_none_is_unnamed() -> None:
    day = StallDay("2027-01-15")
    rows = []
    for count in range(1, ALERT_LINES + 2):
        day.alerts = [(600 + 5 * i, "restless") for i in range(count)]
        image = draw_day("x", day)
        rows.append({int(row) for row in np.flatnonzero((image == ALARM).all(axis=2).any(axis=1))})
    assert [len(after - before) > 0 for before, after in pairwise(rows)] == [*[True] * (ALERT_LINES - 1), False]
    text = draw_day("x", day) != draw_day("x", StallDay("2027-01-15"))
    assert text[500:520].any()  # the last one is named below
