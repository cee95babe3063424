"""What the report on half and twice of tuned numbers says, from given figures."""

from __future__ import annotations

import sys
from collections import Counter
from types import ModuleType

import pytest

from edged.tracking import tracker
from tools.barn import tried
from tools.barn.trial import CROWDED, Outcome
from tools.sensitivity import SMOOTHING as TUNED_SMOOTHING
from tools.sensitivity import TRACKING as TUNED_TRACKING
from tools.sensitivity import Tuned, markdown, scaled

TRACKING = {
    "GOOD": [[1.0, 0.5, 0.9], [2.0, 0.5, 0.9], [4.0, 0.501, 0.9]],
    "LOUD": [[0.25, 0.53, 0.9], [0.5, 0.5, 0.9], [0.95, 0.48, 0.8]],
    "environment": {"commit": "older"},
}
SMOOTHING = {
    "raw": [54.12, 64.8],
    "BETA": [[2.0, 54.7, 41.1], [4.0, 54.2, 43.4], [8.0, 54.1, 46.0]],
    "environment": {"commit": "newer"},
}


def test_cell_has_the_value_tried_and_what_it_gave() -> None:
    page = markdown({"tracking": TRACKING})
    assert "| LOUD | 0.25: 0.530 / 0.900 | 0.5: 0.500 / 0.900 | 0.95: 0.480 / 0.800 |" in page


def test_largest_change_is_named_with_its_sign() -> None:
    assert "Largest change: IDF1 +0.030 (half of LOUD); MOTA -0.100 (twice of LOUD)." in markdown(
        {"tracking": TRACKING}
    )


def test_each_table_has_its_own_environment_and_what_no_filter_gives() -> None:
    page = markdown({"tracking": TRACKING, "smoothing": SMOOTHING})
    assert [line for line in page if line.startswith("commit")] == ["commit older.", "commit newer."]
    assert "Unfiltered: 54.1 / 64.8." in "\n".join(page)
    assert "Largest change: error +0.5 (half of BETA); jitter +2.6 (twice of BETA)." in page


def test_number_is_changed_in_each_module_and_put_back() -> None:
    first, second = ModuleType("first"), ModuleType("second")
    vars(first)["STD"] = vars(second)["STD"] = 0.08
    with scaled(Tuned("STD", (first, second)), 0.5) as value:
        assert vars(first)["STD"] == vars(second)["STD"] == value == 0.04
    assert vars(first)["STD"] == vars(second)["STD"] == 0.08


@pytest.mark.parametrize(
    "tuned", [one for one in (*TUNED_TRACKING, *TUNED_SMOOTHING) if one.modules], ids=lambda tuned: tuned.name
)
def test_number_is_changed_wherever_it_was_imported(tuned: Tuned) -> None:
    found = {name for name, module in sys.modules.items() if name.startswith("edged.") and tuned.name in vars(module)}
    assert found == {module.__name__ for module in tuned.modules or ()}


def test_iou_stays_below_one() -> None:
    with scaled(Tuned("LOW_SCORE_IOU", (tracker,)), 2.0) as value:
        assert value < 1


@pytest.mark.parametrize("name", tried.TRIED)
def test_threshold_is_changed_and_put_back(name: str) -> None:
    as_it_is = tried.value(name, 1.0)
    with tried.changed(name, tried.value(name, 0.5)):
        assert tried.value(name, 1.0) == as_it_is / 2
    assert tried.value(name, 1.0) == as_it_is


def test_share_stays_below_one_and_a_count_whole() -> None:
    assert tried.value("Behaviours.fall_height", 2.0) == 0.95
    assert tried.value("Horse.on_back_count", 2.0) == 8
    assert isinstance(tried.value("Horse.on_back_count", 0.5), int)


def test_acts_and_alerts_are_judged_over_all_parts() -> None:
    found = [
        Outcome(
            seed=1,
            trouble="colic",
            dropped=0.1,
            started_min=10.0,
            postures=Counter({("standing", "standing"): 3, ("standing", "unknown"): 1}),
            right=Counter(roll=3),
            missed=Counter(roll=1),
            found=[("restless", 14.0), ("cast-suspected", 20.0), ("stereotypy", 21.0)],
        ),
        Outcome(seed=2, trouble="cast", dropped=0.1, started_min=10.0, postures=Counter({("sternal", "sternal"): 4})),
        Outcome(
            seed=3, trouble=CROWDED, dropped=0.1, started_min=None, false=Counter(paw=1), found=[("restless", 5.0)]
        ),
        Outcome(seed=4, trouble=None, dropped=0.1, started_min=None, right=Counter(paw=1), found=[("restless", 9.0)]),
    ]
    scores = tried.Scores(
        posture=7 / 8, act_recall=4 / 5, act_precision=4 / 5, alert_recall=1 / 2, alert_precision=1 / 3, delay_min=4.0
    )
    assert tried.judge(found) == tried.Result(scores, (5, 2))
