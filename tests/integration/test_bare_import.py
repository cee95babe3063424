"""The import contract: only adapters know a library by name, and the catalogue knows nothing of the daemon."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIBRARIES = frozenset(["amqtt", "cv2", "onnxruntime", "paho", "pycuda", "rich", "systemd", "tensorrt"])
SOURCES = [*sorted((ROOT / "edged").rglob("*.py")), *sorted((ROOT / "engines").rglob("*.py"))]
COMPOSES = {ROOT / "edged" / name for name in ("daemon.py", "serve.py")}  # put the adapters together
LOADS_ALL = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in LIBRARIES:
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Absent())
from importlib import import_module
for name in NAMES:
    import_module(name)
"""


def module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def in_adapters(path: Path) -> bool:
    return path.is_relative_to(ROOT / "edged" / "adapters")


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_everything_but_the_adapters_imports_where_no_library_is_installed() -> None:
    unable = {*COMPOSES, ROOT / "edged" / "__main__.py"}  # the second runs the command line
    names = [module(path) for path in SOURCES if not in_adapters(path) and path not in unable]
    text = f"LIBRARIES = {set(LIBRARIES)}\nNAMES = {names}\n{LOADS_ALL}"
    done = subprocess.run(
        [sys.executable, "-c", text], check=False, cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", [path for path in SOURCES if not in_adapters(path)], ids=module)
def test_only_adapters_name_a_library(path: Path) -> None:
    assert not LIBRARIES & {name.split(".")[0] for name in imported(path)}


@pytest.mark.parametrize("path", [path for path in SOURCES if path.is_relative_to(ROOT / "engines")], ids=module)
def test_the_catalogue_knows_nothing_of_the_daemon(path: Path) -> None:
    assert "edged" not in {name.split(".")[0] for name in imported(path)}
