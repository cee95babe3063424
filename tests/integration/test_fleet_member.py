"""What a device does with messages of its fleet: signed by a real key, applied on a site's files in a folder."""

from __future__ import annotations

import errno
import hashlib
import json
from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edged.commands.run import _end_failed_trial
from edged.config.load import load
from edged.control.fleet import NO_ANSWER, NOT_IN_EFFECT, NOT_STARTED, UPDATE_S, FleetMember, FleetSite
from edged.errors import CommandRejected, LoopEnded
from edged.messages.build import HeaderFactory
from edged.messages.bus import Request
from edged.messages.topics import REPORTED, desired_topic
from edged.provisioning.desired import Desired, seal
from edged.provisioning.fleet_settings import FleetSettings
from edged.provisioning.signature import FLEET, STICK, signer_lines
from edged.runtime.clock import Clock
from tests.support.signing import new_key, public, sign

SITE = '[device]\nstate_dir = "{0}"\n[cameras.a]\nsource = "0"\n'
SLOW = "publish.max_rate_hz = 1.0\n"


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return new_key(tmp_path_factory.mktemp("key"))


class Bus:
    def __init__(self) -> None:
        self.reports: list[Any] = []
        self.callbacks: dict[str, Callable[[Request], None]] = {}

    def publish(self, topic: Any, message: Any, **options: Any) -> None:
        assert topic == REPORTED.at()
        self.reports.append(message)

    def subscribe(self, topic: Any, callback: Callable[[Request], None], *, optional: bool = False) -> None:
        self.callbacks[topic.path] = callback


class Box:
    """A device without its daemon: what a reload does is said by `restarted` or `rejection`."""

    def __init__(self, folder: Path, key: Path) -> None:
        (folder / "edged.toml").write_text(SITE.format(folder))
        self.bus, self.key, self.etc = Bus(), key, folder
        self.restarted: tuple[str, ...] = ()
        self.rejection: CommandRejected | None = None
        self.reloads = 0
        self.synced = True
        self.runs_with_files = True
        self.keys = signer_lines(public(key), "site.pub")
        self.site = FleetSite(
            group="barns",
            device="box-1",
            base="edged",
            state_file=folder / "fleet.json",
            settings=FleetSettings(folder),
            runtime_dir=folder,
            keys=lambda: self.keys,
            clock_synced=lambda: self.synced,
            version="1.0",
            result=folder / "result.json",
        )
        self.start()

    def start(self) -> None:
        """As at a start of the daemon, but for the thread."""
        self.member = FleetMember(
            self.site,
            self.bus,  # type: ignore[arg-type]
            HeaderFactory(Clock()),
            reload=self.reload,
            in_effect=lambda: self.runs_with_files,
        )
        self.member._thread.start = lambda: None  # type: ignore[method-assign]
        self.member.start()

    def reload(self) -> dict[str, Any]:
        self.reloads += 1
        if self.rejection is not None:
            raise self.rejection
        return {"restarted": list(self.restarted)}

    def get(self, message: bytes) -> Any:
        """The message arrives; the last report."""
        self.member._thread.stopping.set()  # no pause after a refused one
        self.bus.callbacks["/edged/fleet/barns/desired"](Request(path="x", payload=message, retain=True))
        self.member._step()
        return self.bus.reports[-1]

    def want(self, number: int, **wishes: Any) -> Any:
        return self.get(seal(Desired(**{"group": "barns", "number": number, **wishes}), self.key))

    @property
    def text(self) -> str:
        return self.site.settings.text if self.site.settings else ""


@pytest.fixture
def box(tmp_path: Path, key: Path) -> Box:
    return Box(tmp_path, key)


def state(report: Any) -> tuple[object, ...]:
    return report["state"], report["desired_number"], report["applied_number"]


def test_settings_are_in_effect_and_reported(box: Box) -> None:
    assert state(box.bus.reports[-1]) == ("none", None, None)
    report = box.want(7, configuration=SLOW)
    assert (*state(report), report["reason"]) == ("applied", 7, 7, "")
    assert report["configuration_sha256"] == hashlib.sha256(SLOW.encode()).hexdigest()
    assert load(box.etc, env={}).publish.max_rate_hz == 1
    assert state(box.want(8)) == ("applied", 8, 8)
    assert (box.text, box.reloads) == ("", 2)
    box.want(9)
    assert box.reloads == 2  # nothing to do


def test_older_message_rolls_nothing_back_also_after_a_restart(box: Box, caplog: pytest.LogCaptureFixture) -> None:
    box.want(7, configuration=SLOW)
    box.start()
    assert state(box.want(6)) == ("applied", 7, 7)
    assert state(box.want(7)) == ("applied", 7, 7)  # the number again, for something else
    assert box.text == SLOW
    assert caplog.text.count("is not newer than 7") == 2
    assert state(box.want(7, configuration=SLOW)) == ("applied", 7, 7)  # as after a reconnect


@pytest.mark.parametrize(
    "fault", ["other key", "other namespace", "changed", "no JSON", "other group", "unknown field"]
)
def test_message_that_is_not_for_this_device_is_ignored(
    box: Box, fault: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = Desired(group="barns", number=1, configuration=SLOW).model_dump_json()
    key, namespace = box.key, FLEET
    if fault == "other key":
        key = new_key(tmp_path, "other")
    elif fault == "other namespace":
        namespace = STICK
    elif fault == "other group":
        text = text.replace("barns", "yards")
    elif fault == "unknown field":
        text = text.replace('"v":1', '"v":1,"root":true')
    signature = sign(text.encode(), key, namespace).decode()
    text = text.replace(":100.0", ":99.0") if fault == "changed" else text
    message = "{" if fault == "no JSON" else json.dumps({"desired": text, "signature": signature})
    assert state(box.get(message.encode())) == ("none", None, None)
    assert box.text == ""
    assert "fleet: ignored: " in caplog.text


def test_device_without_a_key_follows_nothing_and_says_so(box: Box, caplog: pytest.LogCaptureFixture) -> None:
    box.keys = []
    box.start()
    assert "run as root: edged trust KEY.pub" in caplog.text
    assert state(box.want(1, configuration=SLOW)) == ("none", None, None)


def test_settings_that_are_wrong_or_rejected_change_nothing(box: Box) -> None:
    box.want(1, configuration=SLOW)
    for number, text, reason in (
        (2, "publish.max_rate_hz = -1\n", "70-fleet.toml:1 publish.max_rate_hz = -1"),
        (3, "publish.rate = 1\n", "70-fleet.toml:1 publish.rate"),
        (4, '[mqtt]\npassword = "x"\n', "70-fleet.toml:1 mqtt: is the device's own"),
        (5, '[cameras.a]\nsource = "rtsp://u:p@x/y"\n', "70-fleet.toml:2 cameras.a.source: is the device's own"),
        (6, "no toml", "70-fleet.toml:1"),
    ):
        report = box.want(number, configuration=text)
        assert state(report) == ("failed", number, 1)
        assert reason in report["reason"]
        assert "u:p" not in report["reason"]
    box.rejection = CommandRejected("daemon", got="no time", wanted="some", do="send it again")
    report = box.want(7, configuration="publish.max_rate_hz = 2.0\n")
    assert (report["state"], report["reason"]) == ("failed", str(box.rejection))
    assert (box.text, box.reloads) == (SLOW, 2)
    assert box.site.settings is not None
    assert box.site.settings.trial is None


def test_failed_settings_are_tried_again_with_a_new_number_only(box: Box) -> None:
    box.rejection = CommandRejected("daemon", got="no time", wanted="some", do="send it again")
    box.want(1, configuration=SLOW)
    box.rejection = None
    box.start()
    assert state(box.want(1, configuration=SLOW)) == ("failed", 1, None)
    assert state(box.want(2, configuration=SLOW)) == ("applied", 2, 2)


def test_failure_lasts_for_the_later_stages_and_a_new_roll_out_tries_again(box: Box) -> None:
    box.rejection = CommandRejected("daemon", got="no time", wanted="some", do="send it again")
    box.want(1, configuration=SLOW, share_percent=99)
    box.start()
    assert box.want(2, configuration=SLOW)["reason"] == str(box.rejection)
    assert state(box.want(3, configuration=SLOW, share_percent=0)) == ("failed", 3, None)  # stopped: why is still told
    assert box.reloads == 1
    box.want(4, configuration=SLOW)
    assert box.reloads == 2  # the first stage of another roll-out
    box.want(5, configuration=SLOW)
    assert box.reloads == 3
    assert state(box.want(6)) == ("applied", 6, 6)


def test_settings_that_restart_the_daemon_are_kept_once_it_runs_with_them(box: Box) -> None:
    box.restarted = ("everything",)
    assert state(box.want(1, configuration=SLOW)) == ("none", None, None)  # the next daemon tells
    box.start()
    assert state(box.bus.reports[-1]) == ("applied", 1, 1)
    assert box.site.settings is not None
    assert box.site.settings.trial is None


def test_settings_that_come_as_the_daemon_ends_are_kept_once_the_next_runs_with_them(box: Box) -> None:
    box.rejection = LoopEnded()
    assert state(box.want(1, configuration=SLOW)) == ("none", None, None)
    box.start()
    assert state(box.bus.reports[-1]) == ("applied", 1, 1)


def test_settings_with_which_no_daemon_runs_are_taken_back(box: Box) -> None:
    box.restarted = ("everything",)
    box.want(1, configuration=SLOW)
    box.runs_with_files = False
    box.start()
    report = box.bus.reports[-1]
    assert (report["state"], report["reason"], box.text) == ("failed", NOT_IN_EFFECT, "")


def test_full_disk_keeps_no_daemon_from_its_start(
    box: Box, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    box.restarted = ("everything",)
    box.want(1, configuration=SLOW)
    box.runs_with_files = False
    monkeypatch.setattr("edged.provisioning.fleet_settings.write_file", full)
    box.start()
    assert (box.bus.reports[-1]["state"], box.text) == ("failed", SLOW)
    _end_failed_trial(Namespace(config=box.etc, source=None))
    assert caplog.text.count("No space left on device") == 2


def test_settings_that_end_the_process_at_its_start_are_taken_back(box: Box) -> None:
    box.restarted = ("everything",)
    box.want(1, configuration=SLOW)
    settings = FleetSettings(box.etc)
    assert not settings.count_start()
    assert settings.text == SLOW
    assert settings.count_start()
    assert (settings.text, settings.trial, settings.count_start()) == ("", None, False)
    box.start()
    assert (box.bus.reports[-1]["state"], box.bus.reports[-1]["reason"]) == ("failed", NOT_STARTED)


def test_share_takes_the_same_devices_first_and_more_later(box: Box) -> None:
    wish = Desired(group="barns", number=1, configuration=SLOW)
    names = [f"box-{number}" for number in range(500)]
    stages = [wish.model_copy(update={"share_percent": percent}) for percent in (10, 50)]
    taken = [{name for name in names if stage.includes(name)} for stage in stages]
    assert taken[0] < taken[1]
    assert 25 < len(taken[0]) < 75
    assert state(box.want(1, configuration=SLOW, share_percent=0)) == ("waiting", 1, None)
    assert state(box.want(2, configuration=SLOW)) == ("applied", 2, 2)
    assert state(box.want(3, configuration=SLOW, share_percent=0)) == ("applied", 3, 3)  # stopped: what it has stays


def test_version_is_asked_for_and_its_failure_reported(box: Box) -> None:
    assert state(box.want(1, version="2.0", configuration=SLOW)) == ("updating", 1, None)
    request = box.etc / "desired.json"
    assert json.loads(json.loads(request.read_text())["desired"])["version"] == "2.0"
    (box.etc / "result.json").write_text('{"number": 1, "error": "2.0 does not start"}')
    box.member._step()
    assert (box.bus.reports[-1]["state"], box.bus.reports[-1]["reason"]) == ("failed", "2.0 does not start")
    request.unlink()
    box.start()
    assert state(box.want(1, version="2.0", configuration=SLOW)) == ("failed", 1, None)
    assert not request.exists()
    assert box.text == ""  # settings may need the version
    box.want(2, version="1.0", configuration=SLOW)
    box.want(3, version="2.0", configuration=SLOW)
    box.start()
    assert state(box.bus.reports[-1]) == ("waiting", 3, 2)  # until the message comes again
    box.site = replace(box.site, version="2.0")
    box.start()
    assert state(box.want(4, version="2.0", configuration=SLOW)) == ("applied", 4, 4)


def test_what_failed_in_one_group_is_tried_in_the_next(box: Box) -> None:
    box.rejection = CommandRejected("daemon", got="a", wanted="b", do="c")
    assert box.want(1, configuration=SLOW, share_percent=99)["state"] == "failed"
    box.rejection = None
    box.site = replace(box.site, group="yards")
    box.start()
    message = seal(Desired(group="yards", number=1, configuration=SLOW), box.key)
    box.member._thread.stopping.set()
    box.bus.callbacks["/edged/fleet/yards/desired"](Request(path="x", payload=message, retain=True))
    box.member._step()
    assert state(box.bus.reports[-1]) == ("applied", 1, 1)


def test_unit_that_never_answers_is_a_failure(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 0.0
    monkeypatch.setattr("edged.control.fleet.time.monotonic", lambda: now_s)
    box.want(1, version="2.0")
    now_s = UPDATE_S
    box.member._step()
    assert state(box.bus.reports[-1]) == ("updating", 1, None)
    now_s += 1
    box.member._step()
    assert (box.bus.reports[-1]["state"], box.bus.reports[-1]["reason"]) == ("failed", NO_ANSWER)


def test_version_without_a_service_fails(box: Box) -> None:
    box.site = replace(box.site, runtime_dir=None)
    box.start()
    assert box.want(1, version="2.0")["state"] == "failed"


def test_key_with_an_end_waits_for_the_clock(box: Box) -> None:
    box.keys = [line.replace(" ssh-", ',valid-before="20990101" ssh-', 1) for line in box.keys]
    box.synced = False
    assert state(box.want(1, configuration=SLOW)) == ("none", None, None)
    box.synced = True
    box.member._step()
    assert state(box.bus.reports[-1]) == ("applied", 1, 1)
    box.synced = False
    box.want(2)
    box.get(b"")  # taken back before the clock was set
    box.synced = True
    box.member._step()
    assert state(box.bus.reports[-1]) == ("applied", 1, 1)


def test_topic_is_that_of_the_group() -> None:
    assert desired_topic("site/edged", "barns").path == "/site/edged/fleet/barns/desired"
