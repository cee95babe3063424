"""The file that the page writes holds drawings alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from edged.config.load import load, read_layers
from edged.errors import ConfigError

CAMERA = '[cameras.a]\nsource = "0"\n'
DRAWN = "[cameras.a.stall]\nenabled = true\nfloor = [[0, 9], [9, 9], [9, 0]]\n"


def site(folder: Path, panel: str, edged: str = CAMERA) -> Path:
    (folder / "conf.d").mkdir()
    (folder / "edged.toml").write_text(edged)
    (folder / "conf.d/60-panel.toml").write_text(panel)
    return folder


def test_drawing_is_taken_from_it(tmp_path: Path) -> None:
    config = load(site(tmp_path, DRAWN), env={})
    assert config.cameras["a"].stall.floor == ((0, 9), (9, 9), (9, 0))


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('[mqtt]\nhost = "evil"\n', ":1 mqtt"),
        ('[cameras.a]\nsource = "1"\n', ":2 cameras.a.source"),
        ("[cameras.a]\nimages = true\n", ":2 cameras.a.images"),
        ('[cameras.a.stall]\npeople = "poses"\n', ":2 cameras.a.stall.people"),
        ("[commands]\nallow = []\n", ":1 commands"),
    ],
)
def test_anything_else_in_it_is_refused_with_its_line(tmp_path: Path, text: str, key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(site(tmp_path, text), env={})
    assert f"60-panel.toml{key}: is no drawing" in str(caught.value)
    assert caught.value.code in ("no-drawing", "")


def test_drawing_of_a_camera_that_was_removed_is_left_out(tmp_path: Path) -> None:
    config = load(site(tmp_path, DRAWN, '[cameras.b]\nsource = "0"\n'), env={})
    assert list(config.cameras) == ["b"]


def test_link_to_a_file_that_is_not_there_yet_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "edged.toml").write_text(CAMERA)
    (tmp_path / "conf.d/60-panel.toml").symlink_to(tmp_path / "state/60-panel.toml")
    assert list(load(tmp_path, env={}).cameras) == ["a"]


def test_text_in_place_of_the_file_counts(tmp_path: Path) -> None:
    (tmp_path / "edged.toml").write_text(CAMERA)
    layers = read_layers(tmp_path, env={}, replaced={tmp_path / "conf.d/60-panel.toml": DRAWN})
    assert [Path(layer.name).name for layer in layers.ordered] == ["edged.toml", "60-panel.toml", "environment"]
