"""Libraries send no reports to their makers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.recorded import edged_process, images, picture

pytest.importorskip("onnxruntime", reason="needs ONNX Runtime; install edged[cpu]")


def test_onnx_runtime_writes_no_telemetry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    done = edged_process("infer", images(tmp_path / "pictures", picture()), "--jsonl")
    assert done.returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["pictures"]
