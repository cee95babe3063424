"""What a running daemon may change."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from edged.config.tree import Config
from edged.inference.load_models import LoadedModels
from edged.live_state import LiveState

MODELS = cast(
    LoadedModels,
    SimpleNamespace(backend=None, detector=None, poses={"person": None, "horse": None}, keypoint_thresholds={}),
)
CONFIG = Config.model_validate({"cameras": {"barn": {"source": "0"}, "yard": {"source": "1"}}})


class StandIn:
    """A pipeline that remembers how it was asked for."""

    def __init__(self, *_: object, smooth: bool, last_id: int, gate: object) -> None:
        self.smooth, self.first_id, self.last_id = smooth, last_id, last_id + 5


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edged.live_state.Pipeline", StandIn)


def live_state(*, display: bool = False) -> LiveState:
    return LiveState(CONFIG, MODELS, display=display)


def test_new_pipeline_counts_on_from_the_track_ids_of_the_one_before() -> None:
    state = live_state()
    state.renew_pipelines(["barn"])
    ids = {name: cast(Any, pipeline).first_id for name, pipeline in state.pipelines.items()}
    assert ids == {"barn": 5, "yard": 0}


def test_keypoints_are_smoothed_for_a_display() -> None:
    assert [cast(Any, live_state(display=shown).pipelines["barn"]).smooth for shown in (False, True)] == [False, True]


def test_without_a_horse_model_no_keypoint_of_a_horse_counts() -> None:
    assert live_state().horse_keypoint_threshold == 1.0


def test_floor_on_which_people_should_not_lie_is_a_drawing_whose_view_is_watched() -> None:
    floor = {"floor": [[80, 700], [1200, 700], [1000, 300], [300, 300]], "floor_m": [4.0, 3.5]}
    cameras = {"hall": {"source": "0", "stall": floor, "person_down": {"enabled": True}}, "yard": {"source": "1"}}
    state = LiveState(Config.model_validate({"cameras": cameras}), MODELS, display=False)
    assert state.monitored.floors == {"hall": state.cameras["hall"].stall}
