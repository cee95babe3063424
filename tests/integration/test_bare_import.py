"""Parts of the product that import where no library of a device is installed: no OpenCV, no runtime, no broker."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tools.layers import ROOMS, ROOT, sources

PARTS = (
    *("engines.card", "engines.catalogue", "engines.store", "engines.verify", "engines.build"),
    *("edged.errors", "edged.units", "edged.frame", "edged.runtime", "edged.config", "edged.messages"),
    *("edged.inference.decode", "edged.tracking", "edged.pipeline", "edged.behaviour", "edged.config_check"),
    *("edged.provisioning", "edged.publisher", "edged.loop", "edged.__main__"),
)
IMPORT_ALL = """
import sys
from importlib import import_module
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in LIBRARIES:
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Absent())
for name in NAMES:
    import_module(name)
"""


def test_parts_import_without_libraries_of_a_device() -> None:
    names = [name for part in PARTS for name in sources("edged", "engines") if f"{name}.".startswith(f"{part}.")]
    text = f"LIBRARIES = {set(ROOMS)}\nNAMES = {names}\n{IMPORT_ALL}"
    command = [sys.executable, "-c", text]
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert len(names) > len(PARTS)
    assert done.returncode == 0, done.stderr


def test_daemon_imports_the_libraries_of_what_is_configured_only() -> None:
    """FFmpeg for recordings, network cameras and clips of alerts; a broker of its own for trials."""
    pytest.importorskip("cv2", reason="needs OpenCV; install edged[cpu]")
    pytest.importorskip("onnxruntime", reason="needs ONNX Runtime; install edged[cpu]")
    text = "import sys, edged.commands.run; print({'av', 'amqtt', 'prometheus_client', 'starlette'} & set(sys.modules))"
    command = [sys.executable, "-c", text]
    done = subprocess.run(command, check=True, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout == "set()\n"
