"""What a new configuration changes in a running daemon."""

from __future__ import annotations

from typing import Any

import pytest

from edged.config.schema import all_keys
from edged.config.tree import Config
from edged.control.reload import BEHAVIOUR_KEYS, HOT_RELOADABLE, PIPELINE_KEYS, RESTART_KEYS, plan_reload

BARN, YARD = {"source": "rtsp://10.0.0.1/a"}, {"source": "rtsp://10.0.0.2/a"}


def config(**tables: Any) -> Config:
    return Config.model_validate({"cameras": {"barn": BARN, "yard": YARD}} | tables)


def cameras(**changed: Any) -> dict[str, Any]:
    return {"cameras": {"barn": BARN | changed, "yard": YARD}}


CHANGES: dict[str, tuple[dict[str, Any], list[str], tuple[str, ...]]] = {
    "nothing": ({}, [], ()),
    "a region": (cameras(roi=[0, 0, 99, 99]), [], ("barn",)),
    "a threshold": (cameras(thresholds={"horse": 0.9}), [], ("barn",)),
    "the stall, whose gate follows it": (cameras(stall={"enabled": True}), [], ("barn",)),
    "the floor": (cameras(stall={"floor": [[0, 0], [9, 0], [9, 9]]}), [], ()),
    "the aisle": (cameras(aisle={"enabled": True}), [], ()),
    "another source": (cameras(source="rtsp://10.0.0.9/a"), ["camera barn"], ("barn",)),
    "a time-out": (cameras(frame_timeout_s=9), ["camera barn"], ("barn",)),
    "one camera more": (
        {"cameras": {"barn": BARN, "yard": YARD, "box": {"source": "0"}}},
        ["camera box"],
        ("box",),
    ),
    "one camera less": ({"cameras": {"barn": BARN}}, ["camera yard"], ()),
    "a camera switched off": (cameras(enabled=False), ["camera barn"], ()),
    "the rate": ({"publish": {"max_rate_hz": 5}}, [], ()),
    "smoothing": ({"publish": {"smoothed": True}}, [], ("barn", "yard")),
    "what is allowed": ({"commands": {"allow": []}}, [], ()),
    "Home Assistant": ({"homeassistant": {"enabled": True}}, [], ()),
    "the detector": ({"models": {"detector": "other"}}, ["models"], ("barn", "yard")),
    "a 3D model that no camera uses": ({"models": {"lift": "other"}}, [], ()),
    "people in space": (cameras(lift=True), ["models"], ("barn", "yard")),
    "threads": ({"compute": {"threads": 1}}, ["models"], ("barn", "yard")),
    "the password": ({"mqtt": {"username": "me", "password": "x"}}, ["broker connection"], ()),
    "the base topic": ({"mqtt": {"base_topic": "site"}}, ["everything"], ()),
    "the device": ({"device": {"id": "other"}}, ["everything"], ()),
    "the queue": ({"publish": {"queue_size": 9}}, ["everything"], ()),
    "the store": ({"models": {"store": "/elsewhere"}}, ["everything"], ("barn", "yard")),
}


@pytest.mark.parametrize(("tables", "restarted", "pipelines"), CHANGES.values(), ids=CHANGES)
def test_plan_restarts_only_what_changed(
    tables: dict[str, Any], restarted: list[str], pipelines: tuple[str, ...]
) -> None:
    plan = plan_reload(config(), config(**tables))
    assert (plan.restarted, plan.pipelines) == (restarted, pipelines)


def test_models_loaded_again_renew_every_pipeline() -> None:
    plan = plan_reload(config(), config(**cameras(roi=[0, 0, 99, 99])), anew=True)
    assert (plan.restarted, plan.pipelines) == (["models"], ("barn", "yard"))


def test_plan_names_changed_keys_without_values() -> None:
    plan = plan_reload(config(), config(mqtt={"username": "me", "password": "hunter2"}, **cameras(roi=[0, 0, 99, 99])))
    assert plan.changed == ("mqtt.username", "mqtt.password", "cameras.barn.roi")


def test_every_key_of_the_tables_exists() -> None:
    keys = {".".join(key) for key in all_keys()}
    assert {*HOT_RELOADABLE, *RESTART_KEYS} <= keys
    assert {f"cameras.<name>.{key}" for key in PIPELINE_KEYS} <= keys
    assert all(any(f"{key}.".startswith(f"cameras.<name>.{name}.") for key in keys) for name in BEHAVIOUR_KEYS)


def test_reload_of_the_stall_renews_the_pipeline_that_follows_it() -> None:
    off = {"motion_gate": {"mode": "off"}}
    switched = cameras(stall={"enabled": True})
    fixed = cameras(stall={"enabled": True}, **off)
    assert plan_reload(config(), config(**switched)).pipelines == ("barn",)
    assert plan_reload(config(**cameras(**off)), config(**fixed)).pipelines == ()
