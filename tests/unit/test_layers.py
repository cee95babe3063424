"""The check of imports between modules, on small graphs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.layers import between_folders, circles, imports, strangers, upward


def graph(**modules: str) -> dict[str, frozenset[str]]:
    """`edged__mqtt__client="edged.app"` as the module and what it imports."""
    return {name.replace("__", "."): frozenset(targets.split()) for name, targets in modules.items()}


@pytest.mark.parametrize(
    ("module", "target", "allowed"),
    [
        ("edged.mqtt.client", "edged.messages.topics", True),
        ("edged.mqtt.client", "edged.mqtt.v5", True),
        ("edged.messages.topics", "edged.mqtt.client", False),
        ("edged.inference.crop", "edged.capture.hub", False),
        ("edged.frame", "edged.config.tree", False),
        ("edged.daemon", "edged.app", False),
        ("engines.card", "edged.frame", False),
        ("edged.inference.load_models", "engines.build.service", True),
        ("edged.nowhere", "edged.frame", False),
    ],
)
def test_import_between_layers_is_reported_when_it_leads_up(module: str, target: str, allowed: bool) -> None:
    assert (not list(upward({module: frozenset([target])}))) is allowed


def test_circle_of_three_files_is_named_once() -> None:
    found = list(circles(graph(a="b", b="c", c="a", d="a")))
    assert found == ["circle: a -> b -> c -> a"]


def test_circle_of_folders_without_one_of_files_is_named() -> None:
    files = {
        "tools.a.x": frozenset({"tools.b.x"}),
        "tools.b.y": frozenset({"tools.a.y"}),
        "tools.b.x": frozenset[str](),
    }
    assert not list(circles(files))
    assert list(circles(between_folders(files))) == ["circle: tools.a -> tools.b -> tools.a"]


def test_graph_without_circle_reports_nothing() -> None:
    assert not list(circles(graph(a="b c", b="c", c="")))


@pytest.mark.parametrize(
    ("module", "target", "allowed"),
    [
        ("edged.mqtt.connection", "paho.mqtt.client", True),
        ("edged.device.health", "paho.mqtt.client", False),
        ("edged.drawing.annotate", "cv2", True),
        ("edged.behaviour.view", "cv2", False),
        ("edged.behaviour.view", "numpy", True),
    ],
)
def test_library_outside_its_room_is_reported(module: str, target: str, allowed: bool) -> None:
    assert (not list(strangers({module: frozenset([target])}))) is allowed


def test_imports_inside_functions_and_type_checking_count() -> None:
    text = "from a import b\nif TYPE_CHECKING:\n    import c.d\ndef f() -> None:\n    from e.f import g, h\n"
    assert imports(text, ["e.f.g"]) == {"a", "c.d", "e.f.g", "e.f"}


def test_test_files_import_no_test_file_and_no_conftest() -> None:
    root = Path(__file__).parents[2]
    modules = {".".join(path.relative_to(root).with_suffix("").parts): path for path in (root / "tests").rglob("*.py")}
    targets = {target for path in modules.values() for target in imports(path.read_text(), modules)}
    assert [name for name in targets if any(part.startswith(("test_", "conftest")) for part in name.split("."))] == []
