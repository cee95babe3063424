"""What the doctor advises for each fault of a camera."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from edged import capture
from edged.config.tables.camera import CameraConfig
from edged.device.doctor_camera import CURES, OTHERWISE, _look, cure
from edged.errors import CameraLost

RAISERS = ("CameraLost", "ConfigError", "_lost")
SOURCES = sorted(Path(capture.__file__).parent.rglob("*.py"))


def codes(node: ast.AST) -> list[str]:
    """The code of an error, where it is raised, or where a text and a code are made."""
    parts: list[ast.expr] = []
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in RAISERS:
        parts = node.args
    elif isinstance(node, ast.Return | ast.Assign) and isinstance(node.value, ast.Tuple):
        parts = node.value.elts
    last = parts[-1] if len(parts) > 1 else None
    told = last.value if isinstance(last, ast.Constant) else None
    return [told] if isinstance(told, str) and (told == "" or told.isidentifier()) else []


def test_every_code_of_a_camera_has_a_cure() -> None:
    found = {code for path in SOURCES for node in ast.walk(ast.parse(path.read_text())) for code in codes(node)} - {""}
    assert {"password_wrong", "unplugged"} <= found
    assert found - CURES.keys() == set()
    assert CURES.keys() - found == set()


@pytest.mark.parametrize("code", [*CURES, ""])
def test_cure_names_the_camera_and_has_no_placeholder_left(code: str) -> None:
    text = cure("stall-1", code)
    assert "{" not in text
    assert ("cameras.stall-1." in text) is ("{table}" in CURES.get(code, OTHERWISE))


def test_password_is_the_cure_of_a_wrong_one_and_no_cable() -> None:
    assert "cameras.a.password" in cure("a", "password_wrong")
    assert "cable" not in cure("a", "password_wrong")


@pytest.mark.parametrize(("source", "asked_hz"), [("rtsp://cam/s", 0), ("0", 5)])
def test_network_camera_is_looked_at_with_the_rate_it_sends(
    source: str, asked_hz: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[CameraConfig] = []

    def make_camera(_: str, config: CameraConfig) -> None:
        opened.append(config)
        raise CameraLost("gone", "absent")

    monkeypatch.setattr("edged.capture.make_camera.make_camera", make_camera)
    _look("cam", CameraConfig.model_validate({"source": source, "fps": 5}))
    assert [config.fps for config in opened] == [asked_hz]
