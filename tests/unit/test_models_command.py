"""`edged models` as a person and as a script meet it, on the starter models and a catalogue of one's own."""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from edged.commands import models
from edged.commands.model_choice import (
    CHOICES,
    GROUPS,
    SIZES_MB,
    Choice,
    Purpose,
    configuration,
    describe_choice,
    group,
)
from edged.config.tree import Config
from edged.errors import ConfigError
from engines.catalogue import HERE
from engines.catalogue import load as load_cards
from engines.errors import CardError, SourceError
from engines.store.model_store import PACKAGE_ROOT

SUBJECTS, MACHINES = {"people": "people", "horses": "stalls"}, {"Jetson": "board", "PC": "cpu"}  # in README
BUNDLED = [card for card in load_cards().values() if card.source.bundled]
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


def test_list_is_grouped_and_says_what_each_model_knows(site: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list", *site) == 0
    text = capsys.readouterr().out
    titles = [text.index(title) for title in GROUPS.values()]
    assert titles == sorted(titles)
    known = {line.split()[0]: line for line in text.splitlines() if line.strip()}
    assert known["det-person-horse"].rstrip().endswith("person, horse")
    assert known["rtmdet-nano-person"].rstrip().endswith("person")
    assert "person and horse too" in known["yolox-s-coco"]
    assert "17 keypoints, ap10k-17" in known["rtmpose-m-ap10k"]


@pytest.mark.parametrize("purpose", CHOICES, ids=str)
def test_recommended_models_can_be_pulled_and_know_what_is_wanted(purpose: Purpose) -> None:
    cards, choice = load_cards(None), CHOICES[purpose]
    detector = cards[choice.detector].detect
    assert detector is not None
    assert set(choice.pose) <= set(detector.classes)
    assert {"people": {"person"}, "horses": {"horse"}, "stalls": {"horse", "person"}}[purpose.subject] == set(
        choice.pose
    )
    for name in (choice.detector, *choice.pose.values()):
        assert cards[name].source.url
        assert f"{SIZES_MB[name]} MB" in describe_choice(purpose, cards)
    for label, name in choice.pose.items():
        assert group(cards[name]) == ("animal" if label == "horse" else "person")


def test_recommended_configuration_is_accepted() -> None:
    for choice in CHOICES.values():
        models = Config.model_validate(tomllib.loads(configuration(choice))).models
        assert (models.detector, dict(models.pose)) == (choice.detector, dict(choice.pose))


def test_readme_recommends_the_same_models() -> None:
    text = (HERE.parents[1] / "README.md").read_text("utf-8")
    rows = re.findall(
        r"^\| (people|horses)[^|]*\| (Jetson|PC) \| ([^|]*) \| ([0-9 +]*) \| (\d+) \|$", text, re.MULTILINE
    )
    assert len(rows) == 4
    choices = [
        ([*re.findall(r"`(.*?)`", names)], [int(size) for size in sizes.split(" + ")], int(hz), subject, machine)
        for subject, machine, names, sizes, hz in rows
    ]
    for names, sizes, hz, subject, machine in choices:
        known = [
            [choice.detector, *choice.pose.values()]
            for purpose, choice in CHOICES.items()
            if (purpose.subject, purpose.machine) == (SUBJECTS[subject], MACHINES[machine]) and choice.frames_hz == hz
        ]
        assert names in known
        assert sizes == [SIZES_MB[name] for name in names]


def test_readme_lists_what_recommend_prints_without_options(
    site: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    text = (HERE.parents[1] / "README.md").read_text("utf-8")
    rows = re.findall(r"^\| (people|horses)[^|]*\| (Jetson|PC) \| ([^|]*) \|", text, re.MULTILINE)
    assert rows
    for subject, machine, names in rows:
        assert run("recommend", SUBJECTS[subject], "--on", MACHINES[machine], *site) == 0
        printed = capsys.readouterr().out
        assert f"models pull {' '.join(re.findall('`(.*?)`', names))} --store " in printed


def test_recommend_prints_the_pair_the_configuration_and_how_to_get_it(
    site: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("recommend", "horses", "--on", "board", "--for", "speed", *site) == 0
    text = capsys.readouterr().out
    assert 'detector = "yolox-tiny-coco"' in text
    store = site[site.index("--store") + 1]
    assert f'\nstore = "{store}"\n' in text
    assert text.rstrip().endswith(f"models pull yolox-tiny-coco rtmpose-m-ap10k --store {store}")
    assert "ask before selling" in text


def test_recommend_alone_tells_of_everything_and_downloads_nothing(
    site: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("recommend", "--on", "cpu", *site) == 0
    printed = capsys.readouterr().out
    assert re.findall("(?m)^For ([a-z]+) on", printed) == ["people", "horses", "stalls"]
    with pytest.raises(ConfigError, match="no subject given; want one of people, horses, stalls"):
        run("recommend", "--pull", *site)


def test_recommend_with_pull_downloads_the_models(
    site: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CHOICES, Purpose("people", "cpu", "speed"), Choice("det-person-horse", {"person": "mine"}, 1))
    monkeypatch.setitem(SIZES_MB, "mine", 13)
    monkeypatch.setitem(SIZES_MB, "det-person-horse", 5)
    assert run("recommend", "people", "--on", "cpu", "--for", "speed", "--pull", *site) == 0
    assert (tmp_path / "store/mine.onnx").exists()
    assert "To download" not in capsys.readouterr().out


def test_pulled_model_verifies(site: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run("pull", "mine", *site) == 0
    capsys.readouterr()
    assert run("verify", *site, "--json") == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert (rows["mine"]["result"], rows["mine"]["hash"]) == ("ok", "pinned")
    assert len(rows) == 1 + len(BUNDLED)


def test_damaged_model_fails_the_command_and_others_are_checked(
    site: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("pull", "mine", *site)
    (tmp_path / "store/mine.onnx").write_bytes(b"changed")
    capsys.readouterr()
    assert run("verify", *site, "--json") == 1
    out, err = capsys.readouterr()
    assert sorted(row["result"] for row in json.loads(out)) == ["failed", *["ok"] * len(BUNDLED)]
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
