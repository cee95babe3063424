"""Subjects and messages as lines of text, and the hint how to subscribe."""

from __future__ import annotations

import logging
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from edged.commands.fleet_view import message_line
from edged.commands.views import StderrHandler, describe_subjects, how_to_subscribe
from edged.config.tables.mqtt import MqttConfig, TlsConfig
from tests.support.messages import POSES, STATE, result, subject


def test_degraded_frame_is_described_by_its_limits() -> None:
    dark = replace(result().quality, degraded=("dark", "flat"))
    assert describe_subjects(result(quality=dark)) == "image dark, flat: not processed"
    assert describe_subjects(result()) == "none"


def test_many_subjects_are_counted() -> None:
    assert describe_subjects(result(*[subject()] * 6)).endswith(" and 2 more")


@pytest.fixture
def mosquitto_sub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "mosquitto_sub").write_text("#!/bin/sh\n")
    (tmp_path / "mosquitto_sub").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.usefixtures("mosquitto_sub")
def test_subscribe_hint_names_the_configured_broker() -> None:
    text = how_to_subscribe(MqttConfig(host="10.0.0.2", port=1884, base_topic="farm"), "box")
    assert " watch --host 10.0.0.2 --port 1884 --base-topic farm\n" in text
    assert "mosquitto_sub -h 10.0.0.2 -p 1884 -v -t 'farm/box/#'" in text


def test_subscribe_hint_names_only_programs_that_are_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(sys, "argv", [".venv/bin/edged"])
    assert how_to_subscribe(MqttConfig(), "box").splitlines() == [
        "To see what is published, in another terminal:",
        "  .venv/bin/edged watch --host 127.0.0.1 --port 1883",
    ]


@pytest.mark.usefixtures("mosquitto_sub")
def test_subscribe_hint_shows_no_password() -> None:
    broker = MqttConfig.model_validate(
        {"username": "me", "password": "hunter2", "tls": TlsConfig(enabled=True, ca=Path("/ca.pem"))}
    )
    text = how_to_subscribe(broker, "box")
    assert "hunter2" not in text
    assert "--tls --ca /ca.pem" in text
    assert "--cafile /ca.pem" in text


def test_poses_message_fits_on_one_line() -> None:
    assert message_line("e/b/cam/a/poses", POSES) == "e/b/cam/a/poses  frame 4  person #1 50 %"
    assert message_line("e/b/cam/a/poses", POSES, points=True) == (
        "e/b/cam/a/poses  frame 4  person #1 50 %  [0 1 2 3]  right_knee 3,4 · right_ankle 1,2"
    )


def test_state_message_says_what_the_horse_does_and_which_alerts_are_open() -> None:
    assert message_line("e/b/cam/a/state", STATE) == "e/b/cam/a/state  horse 1; horse: on its side, rolling; ALERT cast"
    assert message_line("e/b/cam/a/state", {"view": "ok", "counts": {"horse": 0}}) == "e/b/cam/a/state  nobody"
    assert message_line("e/b/cam/a/state", {"view": "lost", "counts": None}) == "e/b/cam/a/state  view lost"


def test_alert_message_names_its_kind_and_stage() -> None:
    alert = {"event_type": "cast", "stage": "open", "severity": "critical", "reason": "on its back"}
    assert message_line("e/b/cam/a/alert", alert) == "e/b/cam/a/alert  ALERT cast open, critical: on its back"


def test_line_of_another_message_has_no_empty_fields() -> None:
    assert message_line("e/b/cam/a/status", {"state": "online", "reason": ""}) == "e/b/cam/a/status  state=online"


def test_log_lines_go_to_the_current_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    StderrHandler().emit(logging.LogRecord("edged", logging.WARNING, "", 0, "camera %s: lost", ("barn",), None))
    assert capsys.readouterr().err == "camera barn: lost\n"
