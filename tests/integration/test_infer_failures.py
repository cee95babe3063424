"""`edged infer` with a model whose numbers have gone wrong: no frame passes, and the command fails."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest

pytest.importorskip("onnx", reason="needs onnx; install edged[dev]")
pytest.importorskip("onnxruntime", reason="needs ONNX Runtime; install edged[cpu]")

import numpy as np
import onnx

import engines
from edged.__main__ import main
from edged.commands import infer

PACKAGE = Path(engines.__file__).parent
PICTURE = Path(__file__).parents[2] / "tools" / "synth" / "stills" / "stall_by_day.webp"


def overflowing(path: Path) -> Path:
    """The starter's horse model with its outputs times 1e38: they are finite, and no scores."""
    model = onnx.load(PACKAGE / "starter" / "rtmpose_horse_t.onnx")
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(1e38), "factor"))
    for output in model.graph.output:
        (node,) = (node for node in model.graph.node if output.name in node.output)
        node.output[0] = f"{output.name}_before"
        model.graph.node.append(onnx.helper.make_node("Mul", [node.output[0], "factor"], [output.name]))
    onnx.save(model, path)
    return path


def own_card(folder: Path) -> None:
    text = (PACKAGE / "catalogue" / "rtmpose-t-ap10k-horse.toml").read_text("utf-8").partition("[measured]")[0]
    text = re.sub(r"(?m)^name = .*$", 'name = "own-horse"', text, count=1)
    text = re.sub(r"(?m)^bundled = .*$", 'export = "by hand"', re.sub(r"(?m)^sha256 = .*\n", "", text))
    folder.mkdir()
    (folder / "own-horse.toml").write_text(text)


def test_model_whose_scores_overflow_fails_every_frame_and_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own_card(tmp_path / "cards")
    options = ["--store", str(tmp_path / "store"), "--catalogue", str(tmp_path / "cards")]
    assert main(["models", "import", "own-horse", str(overflowing(tmp_path / "own.onnx")), *options]) == 0
    config = tmp_path / "site.toml"
    config.write_text(
        f'[models]\nstore = "{tmp_path}/store"\ncatalogue = "{tmp_path}/cards"\npose.horse = "own-horse"\n'
    )
    capsys.readouterr()
    assert main(["infer", "--jsonl", "--config", str(config), str(PICTURE)]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert re.search(r"model own-horse: output 0 holds \d{4} values of 8704 that are NaN, infinite or", told.err)
    assert "1 of 1 frame failed" in told.err


def test_pipe_that_nobody_reads_ends_the_command_and_fails_no_frame(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise BrokenPipeError

    parser = argparse.ArgumentParser()
    infer.arguments(parser)
    monkeypatch.setattr(infer, "print", broken, raising=False)
    with pytest.raises(BrokenPipeError):
        infer.run(parser.parse_args([str(PICTURE)]))
    assert "fail" not in capsys.readouterr().err
