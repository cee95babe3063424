"""What `edged infer` makes of its options, without models."""

from __future__ import annotations

from argparse import Namespace
from types import SimpleNamespace
from typing import Any

import pytest

from edged.commands.infer import _camera
from edged.config.tables.camera import CameraConfig
from edged.errors import ConfigError

MODELS: Any = SimpleNamespace(detector=SimpleNamespace(classes=("person", "horse")), has_lift=False)


def camera(path: str = "a.jpg", *, classes: str | None = None, pose: tuple[str, ...] = ()) -> CameraConfig:
    return _camera(Namespace(classes=classes, pose=pose, threshold=None, lens=None), path, MODELS)


def test_blanks_between_classes_are_no_part_of_their_names() -> None:
    assert camera(classes=" horse, person,").classes == ("horse", "person")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"classes": "horse,cow"}, "--classes cow: the detector does not know it; want person, horse"),
        ({"classes": ","}, "--classes ,: names no class; want person, horse"),
        ({"pose": ["some-card", "cow=other"]}, "--pose cow: the detector does not know it; want person, horse"),
        ({"path": ""}, "source: is empty; give the path of a video, image or folder, or the address of a camera"),
    ],
)
def test_option_that_means_nothing_is_told(options: dict[str, Any], error: str) -> None:
    with pytest.raises(ConfigError) as raised:
        camera(**options)
    assert str(raised.value) == error
