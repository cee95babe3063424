"""`edged infer --save`: annotated copies of pictures and videos, with the starter models."""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pytest

from edged.__main__ import main
from edged.capture.sources.image_files import load_image
from tests.support.recorded import images, picture, video

STILL = Path(__file__).parents[2] / "tools/synth/stills/stall_by_day.webp"


def save(*arguments: Path | str, into: Path) -> int:
    return main(["infer", *map(str, arguments), "--save", str(into)])


def test_picture_is_saved_with_its_subjects_drawn_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert save(STILL, into=tmp_path / "new" / "folder") == 0
    drawn, plain = load_image(tmp_path / "new/folder/stall_by_day.jpg"), load_image(STILL)
    assert drawn.shape == plain.shape
    assert (np.abs(drawn.astype(int) - plain).max(axis=2) > 60).sum() > 1000
    out, err = capsys.readouterr()
    assert out == ""
    assert f"{STILL}: 1 image, horse in 1" in err
    assert err.count("orange: its right side") == 1


def test_video_is_saved_whole_and_in_h264(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert save(video(tmp_path / "clip.avi", 5), into=tmp_path / "out") == 0
    with av.open(str(tmp_path / "out/clip.mp4")) as container:
        (stream,) = container.streams
        assert (stream.codec_context.name, sum(1 for _ in container.decode(stream))) == ("h264", 5)
    assert "clip.avi: 5 frames" in capsys.readouterr().err


def test_animation_is_saved_as_a_video(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.gif"), "w") as container:
        stream = container.add_stream("gif", 10, width=320, height=240, pix_fmt="bgr8")
        for shift in range(4):
            frame = av.VideoFrame.from_ndarray(np.roll(picture(), 40 * shift, axis=1), format="bgr24")
            container.mux(stream.encode(frame.reformat(format="bgr8")))
        container.mux(stream.encode(None))
    assert save(tmp_path / "a.gif", into=tmp_path / "out") == 0
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["a.mp4"]


def test_files_of_one_name_are_all_saved(tmp_path: Path) -> None:
    folders = [images(tmp_path / name, picture()) for name in ("a", "b", "c")]
    assert save(*folders, into=tmp_path / "out") == 0
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["0-2.jpg", "0-3.jpg", "0.jpg"]


@pytest.mark.parametrize("source", ["folder", "folder/0.png"])
def test_originals_are_never_replaced(tmp_path: Path, source: str, capsys: pytest.CaptureFixture[str]) -> None:
    folder = images(tmp_path / "folder", picture())
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert save(STILL, tmp_path / source, into=folder) == 1
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    assert "Choose another folder" in capsys.readouterr().err


def test_save_with_jsonl_keeps_stdout_for_messages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert save(STILL, "--jsonl", into=tmp_path / "out") == 0
    assert [json.loads(line)["position"] for line in capsys.readouterr().out.splitlines()] == [0]


def test_file_that_is_no_video_is_named_without_a_camera(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.md").write_text("hello")
    assert save(tmp_path / "notes.md", into=tmp_path / "out") == 1
    err = capsys.readouterr().err
    assert err.startswith(f"edged infer: {tmp_path}/notes.md: ")
    assert "camera" not in err
    assert "orange" not in err  # nothing was saved
