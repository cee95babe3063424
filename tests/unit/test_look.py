"""What two seconds of a camera say, and what to change on it."""

from __future__ import annotations

import numpy as np
import pytest

from edged.capture.camera import MAX_UNDECODABLE, CapturedImage, StreamFacts
from edged.capture.look import CameraLook, look
from edged.capture.sources.scripted import ScriptedCamera
from edged.errors import CameraLost, EndOfSource
from tests.support.raising import raises_code

IMAGE = np.zeros((48, 64, 3), np.uint8)
EMPTY = np.zeros((0, 0, 3), np.uint8)


def captured(at_s: float, *, damaged: bool = False, image: np.ndarray = IMAGE) -> CapturedImage:
    return CapturedImage(image=image, captured_ns=round(at_s * 1e9), damaged=damaged)


def seen(facts: StreamFacts | None = None, **changed: object) -> CameraLook:
    values = {"size_wh": (64, 48), "opened_s": 0.2, "rate_hz": 15.0, "frames": 30, "bad": 0, "facts": facts}
    return CameraLook(**{**values, **changed})  # type: ignore[arg-type]


def facts(**changed: object) -> StreamFacts:
    values = {"codec": "H.264", "inter_coded": True, "key_interval_s": 1.0, "interlaced": False, "pixel_aspect": 1.0}
    return StreamFacts(**{**values, **changed})  # type: ignore[arg-type]


def test_look_measures_rate_and_damage_of_two_seconds() -> None:
    steps = [captured(7 + n / 10, damaged=n in (3, 4)) for n in range(40)]
    got = look(ScriptedCamera(steps))
    assert (got.frames, got.bad, got.size_wh) == (21, 2, (64, 48))
    assert got.rate_hz == pytest.approx(10)
    assert str(got).startswith("64 x 48 px after 0.0 s, 10.0 frames/s, 2 of 21 frames damaged")


def test_look_at_one_image_has_no_rate() -> None:
    got = look(ScriptedCamera([captured(1)]))
    assert got.rate_hz is None
    assert str(got) == "64 x 48 px after 0.0 s"


def test_look_at_a_source_without_frames_raises() -> None:
    with pytest.raises(EndOfSource):
        look(ScriptedCamera([]))
    with raises_code(CameraLost, "undecodable"):
        look(ScriptedCamera([captured(n, image=EMPTY) for n in range(MAX_UNDECODABLE)]))


@pytest.mark.parametrize(
    ("camera", "asked_hz", "want"),
    [
        pytest.param(seen(facts()), 0, "", id="nothing to change"),
        pytest.param(seen(), 15, "", id="a device"),
        pytest.param(seen(facts(key_interval_s=10)), 0, "I-frame interval", id="late key frames"),
        pytest.param(seen(facts(key_interval_s=None), opened_s=9), 0, "I-frame interval", id="no second key frame"),
        pytest.param(seen(facts(interlaced=True)), 0, "progressive", id="interlaced"),
        pytest.param(seen(facts(pixel_aspect=1.333)), 0, "square pixels", id="oblong pixels"),
        pytest.param(seen(facts(), bad=3), 0, "network", id="damage"),
        pytest.param(seen(facts(), rate_hz=5.0), 15, "fewer than the 15 frames/s", id="slow"),
    ],
)
def test_advice_names_what_to_change(camera: CameraLook, asked_hz: float, want: str) -> None:
    assert want in camera.advice(asked_hz)
    assert bool(camera.advice(asked_hz)) is bool(want)


def test_look_names_codec_key_frames_fields_and_pixels() -> None:
    text = str(seen(facts(interlaced=True, pixel_aspect=2.0, key_interval_s=None)))
    assert text.endswith("H.264, over 2 s between key frames, interlaced, pixels 2 : 1, made square")
