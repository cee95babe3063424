"""A stall told to the box by a person with a picture; and its days shown to one."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("cv2", reason="needs OpenCV; install edged[cpu]")

from edged.__main__ import main
from edged.behaviour.horse.day_log import MinuteCode, StallDay
from edged.config.load import load
from edged.drawing.day import LEFT, POSTURES, draw_day
from edged.frame import U8
from tools.demo import CLIP

SQUARE = "155,298 485,298 404,160 236,160"
FLOOR = "20,350 620,350 560,190 90,190"


def picture(path: Path) -> U8:
    return np.asarray(cv2.imread(str(path)), np.uint8)


def calibrate(tmp_path: Path, *options: str) -> int:
    return main(["calibrate", "--source", str(CLIP), "--out", str(tmp_path / "grid.png"), *options])


def test_first_a_grid_to_read_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert calibrate(tmp_path) == 0
    assert "--floor" in capsys.readouterr().out
    assert picture(tmp_path / "grid.png").shape == (360, 640, 3)


def test_then_the_configuration_to_paste_and_a_picture_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calibrate(tmp_path)
    plain = picture(tmp_path / "grid.png")
    assert calibrate(tmp_path, "--floor", FLOOR, "--open", "0", "--zone", "feeder=60,150 120,150 120,210") == 0
    told, file = capsys.readouterr().out, tmp_path / "edged.toml"
    file.write_text(told[told.index("[cameras") :] + '[cameras.snapshot]\nsource = "stall.mp4"\n')
    stall = load(file).cameras["snapshot"].stall
    assert stall.floor is not None
    assert (stall.floor[0], stall.open_sides, list(stall.zones)) == ((20, 350), (0,), ["feeder"])
    assert np.any(plain != picture(tmp_path / "grid.png"))


def test_the_floors_size_tells_how_high_the_camera_hangs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert calibrate(tmp_path, "--floor", SQUARE, "--size", "4 4") == 0
    told = capsys.readouterr().out
    assert "floor_m = [4.0, 4.0]" in told
    assert "the camera hangs 3.0 m above it" in told


@pytest.mark.parametrize(
    ("options", "said"),
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
def test_a_wrong_drawing_is_named(
    options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert calibrate(tmp_path, *options) == 2
    assert said in capsys.readouterr().err


def kept(folder: Path) -> Path:
    """A configuration whose state directory holds one stall's day."""
    day = StallDay("2027-01-15")
    day.add(2, {"lateral-s": 60.0})
    day.mark_minute(125, "lateral", "below", active=True)
    (folder / "stalls.json").write_text(json.dumps({"stall-1": [day.to_json()]}))
    file = folder / "edged.toml"
    file.write_text(f'[device]\nstate_dir = "{folder}"\n')
    return file


def test_a_day_is_a_picture(tmp_path: Path) -> None:
    file = kept(tmp_path)
    assert main(["barn", "report", "--config", str(file), "--out", str(tmp_path / "day.png")]) == 0
    image = picture(tmp_path / "day.png")
    assert tuple(image[120, LEFT + 125]) == POSTURES[MinuteCode.LATERAL]


def test_a_day_is_json_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["barn", "report", "--config", str(kept(tmp_path)), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["hours"][2] == {"lateral-s": 60.0}


@pytest.mark.parametrize(
    ("options", "said"),
    [(["--day", "2027-01-16"], "there is: 2027-01-15"), (["nobody"], "days are kept of: stall-1")],
)
def test_a_day_that_is_not_there_is_named(
    options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["barn", "report", *options, "--config", str(kept(tmp_path))]) == 2
    assert said in capsys.readouterr().err


def test_an_empty_day_can_be_drawn() -> None:
    assert draw_day("x", StallDay("2027-01-15")).any()
