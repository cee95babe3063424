"""`edged run --preview`: a picture and a clip of what the first camera sees."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from edged.capture.sources.image_files import load_image
from edged.drawing.preview import CLIP_HZ, CLIP_S, Preview
from edged.frame import Frame
from edged.units import ns
from tests.support.messages import result, subject

HORSE = replace(subject(), keypoints=None, smoothed=None, schema=None)


def frame(at_s: float, camera: str = "barn") -> Frame:
    return Frame(camera=camera, seq=0, captured_ns=ns(at_s), image=np.full((48, 64, 3), 90, np.uint8))


def preview(folder: Path, said: list[str]) -> Preview:
    return Preview(folder / "look", {}, lambda camera: f"{camera} stands", said.append)


def frames_of(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def test_preview_is_a_picture_with_a_subject_and_a_clip_of_the_first_seconds(tmp_path: Path) -> None:
    said: list[str] = []
    with preview(tmp_path, said) as sink:
        for number in range(round((CLIP_S + 3) * 5)):
            sink(frame(number / 5), result(*[HORSE] * (number >= 4)))
            assert (tmp_path / "look.jpg").exists() == (number >= 4)
    assert frames_of(tmp_path / "look.mp4") == CLIP_S * CLIP_HZ + 1
    assert [line.split(":")[0] for line in said] == [str(tmp_path / "look.jpg"), str(tmp_path / "look.mp4")]


def test_preview_that_ends_early_keeps_what_it_has(tmp_path: Path) -> None:
    with preview(tmp_path, []) as sink:
        sink(frame(0), result(HORSE))
        sink(frame(1), result(HORSE))
    assert frames_of(tmp_path / "look.mp4") == CLIP_HZ + 1


def test_preview_has_the_caption_of_its_camera_and_no_other_cameras_frames(tmp_path: Path) -> None:
    said: list[str] = []
    with preview(tmp_path, said) as sink:
        sink(frame(0), result(HORSE))
        sink(replace(frame(1, "yard"), image=np.full((48, 64, 3), 255, np.uint8)), result(HORSE))
    assert frames_of(tmp_path / "look.mp4") == 1
    assert "look.mp4: 1 frame of what it sees" in said[-1]
    picture = load_image(tmp_path / "look.jpg")
    assert picture[-1].mean() < 70


def test_preview_that_cannot_be_written_says_so_once_and_raises_nothing(tmp_path: Path) -> None:
    said: list[str] = []
    with preview(tmp_path / "absent", said) as sink:
        for number in range(3):
            sink(frame(number), result(HORSE))
    assert len(said) == 1
    assert "Choose a writable folder" in said[0]


def test_preview_without_subjects_is_an_empty_picture_after_a_while(tmp_path: Path) -> None:
    with preview(tmp_path, []) as sink:
        sink(frame(0), result())
        assert not (tmp_path / "look.jpg").exists()
        sink(frame(6), result())
        assert (tmp_path / "look.jpg").exists()


def test_preview_of_no_frame_leaves_nothing(tmp_path: Path) -> None:
    with preview(tmp_path, []):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["look", "look.v2"])
def test_preview_keeps_dots_in_its_name(tmp_path: Path, name: str) -> None:
    with Preview(tmp_path / name, {}, lambda camera: "", lambda line: None) as sink:
        sink(frame(0), result(HORSE))
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{name}.jpg", f"{name}.mp4"]
