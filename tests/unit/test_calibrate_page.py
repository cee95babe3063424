"""The page on which a stall is drawn by clicking: what it answers to a browser."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest

from edged.commands.calibrate_page import FILES, MAX_BODY, Page
from edged.config.load import camera_from_source
from edged.config.tables.camera import CameraConfig
from edged.frame import U8

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

IMAGE: U8 = np.zeros((360, 640, 3), np.uint8)
FLOOR = [[155, 298], [485, 298], [404, 160], [236, 160]]
CAMERA = camera_from_source("0")
NOTHING: dict[str, Any] = {
    "masks": [],
    "roi": None,
    "stall": True,
    "floor": None,
    "floor_m": None,
    "open_sides": [],
    "zones": {},
    "aisle": False,
    "down": False,
    "beds": [],
}


def page_for(file: Path | None = None, settings: CameraConfig = CAMERA, **drawn: Any) -> Page:
    return Page("stall-1", settings, IMAGE, drawn, file)


def request(page: Page, path: str, body: bytes | None = None, length: int | None = None) -> tuple[int, bytes]:
    """The status and the body of a response."""
    status: list[str] = []
    environ = {
        "PATH_INFO": path,
        "REQUEST_METHOD": "GET" if body is None else "POST",
        "wsgi.input": io.BytesIO(body or b""),
    }
    environ["CONTENT_LENGTH"] = str(len(body or b"") if length is None else length)
    parts = page(environ, lambda line, _headers: status.append(line))
    return int(status[0][:3]), b"".join(parts)


def answer(page: Page, drawn: dict[str, Any], *, save: bool = False) -> dict[str, Any]:
    sent = json.dumps({"stall": True, **drawn, "save": save}).encode()
    status, body = request(page, f"/{page.token}/drawing", sent)
    assert status == 200
    result: dict[str, Any] = json.loads(body)
    return result


@pytest.mark.parametrize("path", ["/", "/calibrate.js", "/image.jpg", "/wrong/", "/wrong/image.jpg", "/é/", "*", ""])
def test_without_the_token_nothing_is_shown(path: str) -> None:
    assert request(page_for(), path)[0] == 404


def test_icon_that_every_browser_asks_for_is_no_error() -> None:
    assert request(page_for(), "/favicon.ico") == (204, b"")


@pytest.mark.parametrize("name", ["nothing", "../calibrate.py", "calibrate.html/", "save"])
def test_other_files_are_not_served(name: str) -> None:
    page = page_for()
    assert request(page, f"/{page.token}/{name}")[0] == 404


def test_image_is_a_jpeg() -> None:
    page = page_for()
    status, body = request(page, f"/{page.token}/image.jpg")
    assert (status, body[:2]) == (200, b"\xff\xd8")


def given(page: Page) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(request(page, f"/{page.token}/drawing.json")[1])
    return values


def test_configured_drawing_is_what_the_page_begins_with_and_options_go_before_it() -> None:
    stall = {"floor": FLOOR, "open_sides": [1], "feeding_times": ["06:30"]}
    settings = camera_from_source("0", stall=stall, masks=[[[0, 0], [9, 0], [0, 9]]])
    values = given(page_for(settings=settings, open_sides=[2]))
    drawn = {**NOTHING, "floor": FLOOR, "open_sides": [2], "masks": [[[0, 0], [9, 0], [0, 9]]]}
    assert values == {"camera": "stall-1", "size": [640, 360], "undo": False, "drawing": drawn}


def test_camera_without_a_drawing_begins_with_nothing_drawn() -> None:
    assert given(page_for())["drawing"] == NOTHING


def test_drawing_is_answered_with_its_configuration_and_measures() -> None:
    page = page_for()
    zones = {"feeder": [[230, 120], [300, 120], [300, 170]]}
    result = answer(page, {"floor": FLOOR, "floor_m": [4, 4], "zones": zones, "roi": [0, 100, 640, 360]})
    assert result["problems"] == []
    table = tomllib.loads(result["toml"])["cameras"]["stall-1"]
    assert (table["roi"], table["stall"]["floor_m"], table["stall"]["zones"]) == ([0, 100, 640, 360], [4, 4], zones)
    assert result["measures"]["camera_height_m"] == pytest.approx(3.0, abs=0.05)
    assert result["measures"]["sides_m"] == pytest.approx([4, 4, 4, 4], abs=0.01)
    assert page.saved is None


@pytest.mark.parametrize(
    "drawn",
    [
        {},
        {"floor": FLOOR[:2]},
        {"floor": [[155, 298], [404, 160], [485, 298], [236, 160]]},
        {"floor": [[0, 0], [641, 0], [0, 100]]},
        {"floor": [["a", 0], [641, 0], [0, 100]]},
        {"floor": 5},
        {"floor": FLOOR, "floor_m": [4]},
        {"floor": FLOOR, "floor_m": [-4, 4]},
        {"floor": FLOOR, "open_sides": [4]},
        {"floor": FLOOR, "zones": {"Feeder!": FLOOR}},
        {"zones": {"feeder": None}},
        {"zones": 5},
        {"masks": [[[0, 0], [9, 0], [641, 9]]]},
        {"floor": FLOOR, "source": "/etc/passwd"},
    ],
)
def test_faulty_drawing_is_named_and_not_saved(drawn: dict[str, Any], tmp_path: Path) -> None:
    page = page_for(tmp_path / "stall.toml")
    assert answer(page, drawn)["problems"]
    assert answer(page, drawn, save=True)["problems"]
    assert page.saved is None
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"5", b"[" * 60_000, b"\xff", b" " * (MAX_BODY + 1)])
def test_body_that_is_no_drawing_is_refused(body: bytes) -> None:
    page = page_for()
    assert request(page, f"/{page.token}/drawing", body)[0] == 400


def test_body_that_never_comes_is_refused() -> None:
    page = page_for()
    environ = {"PATH_INFO": f"/{page.token}/drawing", "REQUEST_METHOD": "POST", "CONTENT_LENGTH": "9"}
    silent = SimpleNamespace(read=Mock(side_effect=TimeoutError))
    status = Mock()
    page({**environ, "wsgi.input": silent}, status)
    assert status.call_args.args[0] == "400 Bad Request"


def test_saved_drawing_is_in_the_file_and_replaces_none(tmp_path: Path) -> None:
    file = tmp_path / "stall.toml"
    page = page_for(file)
    assert answer(page, {"floor": FLOOR}, save=True)["place"] == str(file)
    assert "[cameras.stall-1.stall]" in file.read_text()
    assert page.saved is not None
    again = page_for(file)
    assert "is there already" in answer(again, {"floor": FLOOR}, save=True)["problems"][0]
    assert again.saved is None


def test_drawing_without_a_file_is_for_the_terminal() -> None:
    page = page_for()
    answer(page, {"floor": FLOOR}, save=True)
    assert page.saved is not None
    assert "[cameras.stall-1.stall]" in page.saved


def test_every_file_that_the_page_asks_for_is_served() -> None:
    page = page_for()
    texts = {name: request(page, f"/{page.token}/{name}") for name in FILES}
    assert {status for status, _ in texts.values()} == {200}
    named = {
        name for _, body in texts.values() for name in re.findall(r'"(?:\./)?([a-z]+\.(?:js|css))"', body.decode())
    }
    assert named == FILES.keys() - {""}
