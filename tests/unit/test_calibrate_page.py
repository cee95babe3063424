"""The page on which a stall is drawn by clicking: what it answers to a browser."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edged.commands import calibrate_page
from edged.commands.calibrate_page import MAX_BODY, Page, drawing_of
from edged.config.load import config_from_options
from edged.config.tables.stall import StallConfig
from edged.frame import U8

IMAGE: U8 = np.zeros((360, 640, 3), np.uint8)
FLOOR = [[155, 298], [485, 298], [404, 160], [236, 160]]
FOLDER = Path(calibrate_page.__file__).parent


def page_for(file: Path | None = None, drawn: dict[str, Any] | None = None) -> Page:
    return Page("stall-1", IMAGE, drawn or {}, file)


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


def answer(page: Page, verb: str, drawn: object) -> dict[str, Any]:
    status, body = request(page, f"/{page.token}/{verb}", json.dumps(drawn).encode())
    assert status == 200
    result: dict[str, Any] = json.loads(body)
    return result


@pytest.mark.parametrize("path", ["/", "/calibrate.js", "/image.jpg", "/wrong/", "/wrong/image.jpg", "/é/"])
def test_without_the_token_nothing_is_shown(path: str) -> None:
    assert request(page_for(), path)[0] == 404


@pytest.mark.parametrize("name", ["nothing", "../calibrate.py", "calibrate.html/", "save"])
def test_other_files_are_not_served(name: str) -> None:
    page = page_for()
    assert request(page, f"/{page.token}/{name}")[0] == 404


def test_image_is_a_jpeg() -> None:
    page = page_for()
    status, body = request(page, f"/{page.token}/image.jpg")
    assert (status, body[:2]) == (200, b"\xff\xd8")


def test_configured_stall_is_what_the_page_begins_with() -> None:
    values = {
        "cameras": {"a": {"source": "0", "stall": {"floor": FLOOR, "open_sides": [1], "feeding_times": ["06:30"]}}}
    }
    stall = config_from_options(values, {}).cameras["a"].stall
    page = page_for(drawn=drawing_of(stall))
    given = json.loads(request(page, f"/{page.token}/drawing.json")[1])
    assert given == {"camera": "stall-1", "floor": FLOOR, "floor_m": None, "open_sides": [1], "zones": {}}


def test_camera_without_a_stall_begins_with_nothing_drawn() -> None:
    assert drawing_of(StallConfig()) == {"floor": None, "floor_m": None, "open_sides": [], "zones": {}}


def test_drawing_is_answered_with_its_configuration_and_the_height() -> None:
    page = page_for()
    result = answer(
        page, "check", {"floor": FLOOR, "floor_m": [4, 4], "zones": {"feeder": [[230, 120], [300, 120], [300, 170]]}}
    )
    assert result["errors"] == []
    assert "[cameras.stall-1.stall]" in result["toml"]
    assert "floor_m = [4.0, 4.0]" in result["toml"]
    assert "3.0 m" in result["height"]
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
    ],
)
def test_faulty_drawing_is_named_and_not_saved(drawn: dict[str, Any], tmp_path: Path) -> None:
    page = page_for(tmp_path / "stall.toml")
    assert answer(page, "check", drawn)["errors"]
    assert answer(page, "save", drawn)["errors"]
    assert page.saved is None
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"5", b'{"zones": 5}', b"[" * 60_000, b"\xff", b" " * (MAX_BODY + 1)]
)
def test_body_that_is_no_drawing_is_refused(body: bytes) -> None:
    page = page_for()
    assert request(page, f"/{page.token}/check", body)[0] == 400


def test_saved_drawing_is_in_the_file_and_replaces_none(tmp_path: Path) -> None:
    file = tmp_path / "stall.toml"
    page = page_for(file)
    assert answer(page, "save", {"floor": FLOOR})["errors"] == []
    assert "[cameras.stall-1.stall]" in file.read_text()
    assert page.saved is not None
    again = page_for(file)
    assert "is there already" in answer(again, "save", {"floor": FLOOR})["errors"][0]
    assert again.saved is None


def test_drawing_without_a_file_is_for_the_terminal() -> None:
    page = page_for()
    answer(page, "save", {"floor": FLOOR})
    assert page.saved is not None
    assert "[cameras.stall-1.stall]" in page.saved


def test_script_uses_only_elements_that_the_page_has() -> None:
    html, script = ((FOLDER / f"calibrate.{kind}").read_text("utf-8") for kind in ("html", "js"))
    used = set(re.findall(r'element\("(\w+)"\)', script))
    assert used
    assert used <= set(re.findall(r'id="(\w+)"', html))
