"""The engine store: a damaged, swapped or foreign engine is rejected with its reason."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from engines.build.service import BuildJob, EngineBuilder
from engines.errors import PlanRefused
from engines.store.engine_store import META, PLAN, EngineStore, StoredEngine
from engines.store.key import FIELD_TEXT, BuildOptions, EngineKey, cause, differences

KEY = EngineKey(
    onnx="a" * 64,
    precision="fp16",
    level=3,
    workspace_mb=512,
    profiles=((1, 1, 1),),
    flavour="tensorrt",
    tensorrt="10.3.0.30",
    gpu="Orin",
    sm="8.7",
    gpu_gb=8,
    driver="12.6",
    l4t="36.4.3",
)
GOOD: dict[str, Any] = {"faults": []}
META_OF_BUILD = {"peak_rss_mb": 300}


@pytest.fixture
def plans(tmp_path: Path) -> EngineStore:
    return EngineStore(tmp_path / "engines")


def stored(
    plans: EngineStore,
    key: EngineKey = KEY,
    content: bytes = b"engine",
    proof: Any = GOOD,
    model: str = "m",
    *,
    seconds: float = 2.0,
) -> StoredEngine:
    plans.partial.mkdir(parents=True, exist_ok=True)
    file = plans.partial / "made.plan"
    file.write_bytes(content)
    return plans.publish(model, key, file, {**META_OF_BUILD, "seconds": seconds}, proof)


def test_stored_engine_is_read_back(plans: EngineStore) -> None:
    stored(plans)
    found = plans.find("m", KEY)
    assert found is not None
    assert (found.read(), found.is_verified, found.key) == (b"engine", True, KEY)


@pytest.mark.parametrize("content", [b"", b"engin", b"engine!", b"Engine"])
def test_changed_engine_file_is_rejected(plans: EngineStore, content: bytes) -> None:
    plan = stored(plans)
    (plan.folder / PLAN).write_bytes(content)
    with pytest.raises(PlanRefused, match="not the ones stored"):
        plan.read()


def test_swapped_engines_are_rejected(plans: EngineStore) -> None:
    one, other = stored(plans, content=b"one"), stored(plans, replace(KEY, onnx="b" * 64), b"two")
    first, second = (plan.folder / PLAN for plan in (one, other))
    a, b = first.read_bytes(), second.read_bytes()
    first.write_bytes(b)
    second.write_bytes(a)
    for plan in (one, other):
        with pytest.raises(PlanRefused):
            plan.read()


CHANGES: dict[str, Any] = {
    "onnx": "b" * 64,
    "precision": "fp32",
    "level": 5,
    "workspace_mb": 64,
    "profiles": (),
    "flavour": "tensorrt-rtx",
    "tensorrt": "10.16.2.10",
    "gpu": "Thor",
    "sm": "11.0",
    "gpu_gb": 64,
    "driver": "13.2",
    "l4t": "39.2.0",
    "format": 2,
}


@pytest.mark.parametrize("field", FIELD_TEXT)
def test_difference_in_any_key_field_is_another_engine_with_its_reason(plans: EngineStore, field: str) -> None:
    stored(plans)
    wanted = replace(KEY, **{field: CHANGES[field]})
    assert plans.find("m", wanted) is None
    (difference,) = differences(KEY, wanted)
    assert difference.startswith(f"{field}: built {getattr(KEY, field)}, here {CHANGES[field]}: ")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"key": {}}', '{"key": {"profiles": []}}'])
def test_engine_without_metadata_is_not_found(plans: EngineStore, text: str) -> None:
    plan = stored(plans)
    (plan.folder / META).write_text(text)
    assert (plans.find("m", KEY), plans.engines("m"), plans.current("m")) == (None, [], None)


def test_only_a_verified_engine_is_current(plans: EngineStore) -> None:
    stored(plans, proof=None)
    assert plans.current("m") is None
    found = plans.find("m", KEY)
    assert found is not None
    plans.record_selftest(found, {"faults": ["a keypoint moved"]})
    assert plans.current("m") is None
    plans.record_selftest(found, GOOD)
    current = plans.current("m")
    assert current is not None
    assert current.key == KEY


def test_rollback_selects_the_previous_verified_engine(plans: EngineStore) -> None:
    older = replace(KEY, tensorrt="10.2")
    for key, proof in ((older, GOOD), (replace(KEY, level=1), None), (KEY, GOOD)):
        stored(plans, key, proof=proof)
    back = plans.rollback("m")
    assert back is not None
    assert back.key == older
    now = plans.current("m")
    assert now is not None
    assert now.key == older


def test_rollback_from_the_only_engine_changes_nothing(plans: EngineStore) -> None:
    stored(plans)
    assert plans.rollback("m") is None
    assert plans.current("m") is not None


def test_quarantined_engine_is_not_found_and_its_reason_is_kept(plans: EngineStore, tmp_path: Path) -> None:
    plans.quarantine(stored(plans), "one byte too many")
    assert (plans.find("m", KEY), plans.current("m")) == (None, None)
    (reason,) = (tmp_path / "engines").glob(".quarantine/*/reason.txt")
    assert reason.read_text() == "one byte too many\n"


def test_attempts_are_counted_before_they_are_made_and_survive_a_restart(plans: EngineStore, tmp_path: Path) -> None:
    plans.begin("m", KEY)
    again = EngineStore(tmp_path / "engines")
    assert again.attempts("m", KEY) == 1
    assert "never ended" in (again.last_failure("m", KEY) or "")
    again.begin("m", KEY)
    again.failed("m", KEY, "no memory")
    assert (plans.attempts("m", KEY), plans.last_failure("m", KEY)) == (2, "no memory")
    plans.forget("m", KEY)
    assert (again.attempts("m", KEY), again.last_failure("m", KEY)) == (0, None)


def test_torn_attempts_count_as_none(plans: EngineStore, tmp_path: Path) -> None:
    plans.begin("m", KEY)
    (tmp_path / "engines/m/attempts.json").write_text("{")
    assert plans.attempts("m", KEY) == 0


def test_cleaning_keeps_the_current_engine_and_the_one_to_go_back_to(plans: EngineStore) -> None:
    keys = [replace(KEY, level=level) for level in range(4)]
    for key in keys:
        stored(plans, key)
    (plans.partial / "half").write_text("half")
    gone = plans.clean()
    assert {plan.key.level for plan in plans.engines("m")} == {3, 2}
    assert ".partial/half" in gone


def test_store_keeps_two_engines_per_model_and_three_quarantined(plans: EngineStore, tmp_path: Path) -> None:
    for level in range(4):
        stored(plans, replace(KEY, level=level))
    assert {plan.key.level for plan in plans.engines("m")} == {3, 2}, "without anybody cleaning"
    for _ in range(5):
        plans.quarantine(stored(plans, replace(KEY, level=9)), "spoilt")
    stored(plans)
    assert len(list((tmp_path / "engines/.quarantine").iterdir())) == 3


def test_quota_removes_the_oldest_unused_engines_first(tmp_path: Path) -> None:
    plans = EngineStore(tmp_path / "engines", quota_mb=3)
    for model, level in (("a", 1), ("b", 1), ("a", 2), ("b", 2)):
        stored(plans, replace(KEY, level=level), content=bytes(1_550_000), model=model)
    assert [plan.key.level for plan in plans.engines("a")] == [2], "3.1 MB that are not in use"
    assert [plan.key.level for plan in plans.engines("b")] == [2, 1]


def test_incomplete_engine_is_not_found(plans: EngineStore, tmp_path: Path) -> None:
    half = tmp_path / "engines" / ".partial" / "m-x"
    half.mkdir(parents=True)
    (half / PLAN).write_bytes(b"half")
    (half / META).write_text(json.dumps({}))
    assert (plans.models(), plans.engines("m")) == ([], [])


def test_jetpack_update_gives_the_rebuild_reason_and_the_last_duration(plans: EngineStore) -> None:
    for level, seconds in ((3, 400.0), (0, 20.0)):
        stored(plans, replace(KEY, level=level), seconds=seconds)
    now = replace(KEY, l4t="36.5.0", tensorrt="10.7", driver="12.8")
    job = cast(BuildJob, SimpleNamespace(card=SimpleNamespace(name="m"), key=now, options=BuildOptions(level=3)))
    foundry = EngineBuilder(plans, *[cast(Any, None)] * 4)
    assert foundry.last_attempt(job) == (f"JetPack has changed: {KEY.l4t}, now 36.5.0", 400.0)


def test_engine_never_built_has_no_last_attempt(plans: EngineStore) -> None:
    job = cast(BuildJob, SimpleNamespace(card=SimpleNamespace(name="m"), key=KEY, options=BuildOptions()))
    assert EngineBuilder(plans, *[cast(Any, None)] * 4).last_attempt(job) == ("", None)


def test_changed_onnx_hash_is_described_in_words(plans: EngineStore) -> None:
    assert cause(KEY, replace(KEY, onnx="d" * 64)) == "the model, or how it is prepared, has changed"
