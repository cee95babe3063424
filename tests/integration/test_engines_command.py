"""`edged engines` says of each precision why it has no engine, and builds in the first that can be built."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edged.__main__ import main
from edged.commands import engines
from engines.catalogue import load
from tests.support.engine_builds import OnnxAsPlan, onnx_builder

NAME = "det-person-horse"


def said(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any, str]:
    """What the command prints as JSON, and on stderr, where the configuration asks for INT8."""
    file = folder / "edged.toml"
    file.write_text('[compute]\nprecision = "int8"\n')
    code = main(["engines", *words, NAME, "--config", str(file), "--store", str(folder), "--json"])
    out, err = capsys.readouterr()
    return code, json.loads(out), err


def test_int8_that_a_card_lacks_is_said_and_fp16_built(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    process = OnnxAsPlan(tmp_path / "parts")
    monkeypatch.setattr(engines, "engine_builder", lambda *_: onnx_builder(tmp_path / "engines", process))
    plain = load()[NAME].model_copy(update={"int8": None})
    monkeypatch.setattr(engines, "load_cards", lambda catalogue: {NAME: plain})
    code, rows, _ = said(tmp_path, capsys, "explain")
    assert [(row["precision"], row["reason"].split(";")[0]) for row in rows] == [
        ("int8", f"model {NAME}: its card has no INT8"),
        ("fp16", "none was ever built here"),
    ]
    assert code == 0
    code, rows, err = said(tmp_path, capsys, "build")
    assert (code, rows[0]["result"]) == (0, "built, unverified")
    assert "its card has no INT8" in err
    assert "in fp16 instead" in err
    assert "its card has no INT8" in said(tmp_path, capsys, "verify")[1][0]["reason"]
