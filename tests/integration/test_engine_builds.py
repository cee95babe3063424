"""Engines built in the background: their status, and what happens when one cannot be built or used."""

from __future__ import annotations

import mmap
import subprocess
import sys

import pytest

from edged.errors import CommandRejected, DeviceLost
from edged.inference.engine_builds import BuildStatus, EngineBuildService
from edged.runtime import threads
from engines.errors import BuildFailed, Cancelled
from tests.support.engine_builds import LEVEL, NAMES, Ready, ScriptedBuilder, started_service

TIMEOUT_S = 10.0


def run_to_end(
    script: ScriptedBuilder, *errors: Exception, levels: tuple[int, ...] = (LEVEL,)
) -> tuple[EngineBuildService, Ready]:
    service, ready = started_service(script, *errors, levels=levels)
    assert service.join(TIMEOUT_S)
    return service, ready


def test_stored_engine_is_used_without_build() -> None:
    script = ScriptedBuilder(stored=NAMES, builds=dict.fromkeys(NAMES, BuildFailed("not to be built")))
    service, ready = run_to_end(script)
    assert ready == [(name, LEVEL) for name in NAMES]
    assert service.statuses[NAMES[0]] == BuildStatus(phase="ready", key="abc")


def test_missing_engines_are_built_and_used() -> None:
    _, ready = run_to_end(ScriptedBuilder())
    assert ready == [(name, LEVEL) for name in NAMES]


def test_quick_engines_of_all_models_precede_best_ones() -> None:
    _, ready = run_to_end(ScriptedBuilder(), levels=(0, LEVEL))
    assert ready == [(name, level) for level in (0, LEVEL) for name in NAMES]


def test_quick_engine_is_skipped_where_best_is_stored() -> None:
    _, ready = run_to_end(ScriptedBuilder(stored=NAMES[:1]), levels=(0, LEVEL))
    assert ready == [(NAMES[1], 0), (NAMES[0], LEVEL), (NAMES[1], LEVEL)]


def test_failed_build_is_reported_and_next_model_built(caplog: pytest.LogCaptureFixture) -> None:
    service, ready = run_to_end(ScriptedBuilder(builds={NAMES[0]: BuildFailed("no memory")}))
    assert service.statuses[NAMES[0]] == BuildStatus(phase="failed", reason="no memory")
    assert ready == [(NAMES[1], LEVEL)]
    assert [record.levelname for record in caplog.records] == ["ERROR"]


@pytest.mark.parametrize(
    ("precision", "with_int8", "tried"),
    [
        ("auto", True, ["fp16"]),
        ("int8", True, ["int8"]),
        ("int8", False, ["int8", "fp16"]),
        ("fp32", True, ["fp32"]),
        ("bf16", True, ["fp16"]),
    ],
)
def test_engines_are_built_in_the_wanted_precision_where_the_card_has_it(
    precision: str, with_int8: bool, tried: list[str]
) -> None:
    script = ScriptedBuilder()
    service, _ = started_service(script, precision=precision, with_int8=with_int8)
    assert service.join(TIMEOUT_S)
    assert list(dict.fromkeys(asked for _, asked in script.asked)) == tried


def test_int8_that_cannot_be_prepared_gives_way_to_fp16(caplog: pytest.LogCaptureFixture) -> None:
    script = ScriptedBuilder()
    script.refused = {"int8"}
    service, ready = started_service(script, precision="int8", with_int8=True)
    assert service.join(TIMEOUT_S)
    assert ready == [(name, LEVEL) for name in NAMES]
    assert f"engine of {NAMES[0]} in int8: no int8; in fp16 instead" in caplog.messages
    why = "in int8: no int8; in fp16 instead"
    assert service.statuses[NAMES[0]] == BuildStatus(phase="ready", key="abc", reason=why)


def test_engine_that_fails_selftest_is_not_used() -> None:
    script = ScriptedBuilder()
    script.passes_selftest = False
    service, ready = run_to_end(script)
    assert service.statuses[NAMES[0]] == BuildStatus(phase="unverified", reason="never proved", key="abc")
    assert ready == []


def test_engine_rejected_by_busy_loop_is_offered_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "RESTART_WAIT_S", 0.0)
    busy = CommandRejected("daemon", got="no time between two frames", wanted="some", do="send it again")
    service, ready = run_to_end(ScriptedBuilder(), busy, busy)
    assert ready == [(name, LEVEL) for name in NAMES]
    assert service.statuses[NAMES[0]].phase == "ready"


def test_bug_while_engine_is_taken_fails_that_model_only(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(threads, "RESTART_WAIT_S", 0.0)
    service, ready = run_to_end(ScriptedBuilder(), KeyError("a bug"))
    assert service.statuses[NAMES[0]] == BuildStatus(phase="failed", reason="KeyError: 'a bug'")
    assert ready == [(NAMES[1], LEVEL)]
    assert "thread engine-builds" in caplog.text


def test_lost_device_while_engine_is_taken_is_raised_in_loop() -> None:
    _, ready = run_to_end(ScriptedBuilder(), DeviceLost("CUDA: unknown error"))
    with pytest.raises(DeviceLost):
        threads.raise_fatal()
    assert ready == []


def test_close_cancels_build_and_begins_no_other() -> None:
    script = ScriptedBuilder(builds={NAMES[0]: Cancelled("the daemon ends")})
    service, ready = started_service(script)
    assert script.building.wait(TIMEOUT_S)
    assert service.statuses[NAMES[0]] == BuildStatus(
        phase="building",
        progress=0.5,
        remaining_s=7.0,
        key="abc",
        rebuild_reason="JetPack has changed",
        previous_build_s=400.0,
    )
    service.close()
    assert service.join(0)
    assert (ready, service.statuses[NAMES[1]].phase) == ([], "waiting")


def test_build_that_outlives_close_does_not_count_as_attempt() -> None:
    script = ScriptedBuilder(builds={NAMES[0]: Cancelled("the daemon ends")})
    script.stops_at_once = False
    service, _ = started_service(script)
    assert script.building.wait(TIMEOUT_S)
    service.close()
    assert not service.join(0)
    assert script.forgotten == [NAMES[0]]
    script.released.set()
    assert service.join(TIMEOUT_S)


def test_close_after_failed_builds_keeps_their_attempts() -> None:
    script = ScriptedBuilder(builds=dict.fromkeys(NAMES, BuildFailed("no memory")))
    service, _ = run_to_end(script)
    service.close()
    assert script.forgotten == []


def test_peak_memory_of_a_build_is_not_that_of_the_daemon_that_started_it() -> None:
    held = bytearray(400_000_000)
    held[:: mmap.PAGESIZE] = b"x" * len(held[:: mmap.PAGESIZE])  # written, so that it is resident
    told = "from engines.build.worker import peak_rss_mb; print(peak_rss_mb())"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert 5 < int(done.stdout) < 200, held[0]
