"""`edged models` as a person and as a script meet it, on the starter models and a catalogue of one's own."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from edged.commands import models
from engines.catalogue import HERE
from engines.errors import CardError, SourceError
from engines.store.model_store import PACKAGE_ROOT

POSE = PACKAGE_ROOT / "starter/rtmpose_lsp_t.onnx"


@pytest.fixture
def site(tmp_path: Path) -> list[str]:
    """Options for a store and a catalogue whose card `mine` is the LSP model under another address."""
    text = (HERE / "rtmpose-t-lsp14.toml").read_text().replace("rtmpose-t-lsp14", "mine")
    (cards := tmp_path / "cards").mkdir()
    (cards / "mine.toml").write_text(text.replace('bundled = "starter/', f'url = "file://{PACKAGE_ROOT}/starter/'))
    return ["--store", str(tmp_path / "store"), "--catalogue", str(cards)]


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    models.arguments(parser)
    return models.run(parser.parse_args(words))


def test_list_shows_state_and_how_to_get_a_model(site: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list", *site, "--json") == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert (rows["det-person-horse"]["state"], rows["det-person-horse"]["in use"]) == ("bundled", True)
    assert (rows["mine"]["state"], rows["mine"]["get by"], rows["mine"]["in use"]) == ("missing", "pull", False)
    assert rows["rtmdet-m-coco"]["get by"] == "export, import"


def test_table_has_one_line_per_model(site: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list", *site) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:4] for line in lines if " mine " in line] == [["mine", "missing", "pull", "pinned"]]


def test_pulled_model_verifies(site: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run("pull", "mine", *site) == 0
    capsys.readouterr()
    assert run("verify", *site, "--json") == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert (rows["mine"]["result"], rows["mine"]["hash"]) == ("ok", "pinned")
    assert len(rows) == 4


def test_damaged_model_fails_the_command_and_others_are_checked(
    site: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("pull", "mine", *site)
    (tmp_path / "store/mine.onnx").write_bytes(b"changed")
    capsys.readouterr()
    assert run("verify", *site, "--json") == 1
    out, err = capsys.readouterr()
    assert sorted(row["result"] for row in json.loads(out)) == ["failed", "ok", "ok", "ok"]
    assert err.startswith("edged models: ")
    assert "edged models pull mine" in err


def test_pull_wants_names_or_all_in_use(site: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run("pull", *site) == 2
    assert run("pull", "mine", "--all-in-use", *site) == 2
    assert run("pull", "--all-in-use", *site) == 0
    assert "det-person-horse" in capsys.readouterr().out


def test_import_of_the_wrong_model_is_rejected(site: list[str]) -> None:
    assert run("import", "mine", str(POSE), *site) == 0
    with pytest.raises(SourceError, match="pins"):
        run("import", "mine", str(PACKAGE_ROOT / "starter/det_person_horse.onnx"), *site)


def test_misspelt_name_suggests_similar_ones(site: list[str]) -> None:
    with pytest.raises(CardError, match="no card 'yolox-s-coko'; want yolox-s-coco"):
        run("pull", "yolox-s-coko", *site)
