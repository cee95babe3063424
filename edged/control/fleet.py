"""What the fleet wants of this device: each message checked, settings applied with a way back, a release asked for.

Upstream: the retained message of its group. Downstream: `conf.d/70-fleet.toml` and the daemon's reload; a unit run by
root, which checks the message again and updates; the message `reported`. Thread: its own.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from edged import __version__
from edged.config.load import read_layers
from edged.config_check import checked_config
from edged.errors import CommandRejected, ConfigError, LoopEnded, NotTrusted, NotWritten
from edged.foreign_text import foreign_json, printable
from edged.messages import build
from edged.messages.build import HeaderFactory
from edged.messages.bus import Bus, Request
from edged.messages.topics import REPORTED, desired_topic
from edged.provisioning.atomic_files import write_file
from edged.provisioning.desired import Desired, unseal
from edged.provisioning.fleet_settings import FleetSettings
from edged.provisioning.release import package_version
from edged.provisioning.signature import SIGNERS, depends_on_time
from edged.runtime.json_state import JsonState
from edged.runtime.log import LogLimit
from edged.runtime.threads import SupervisedThread

log = logging.getLogger(__name__)

POLL_S = 1.0  # between two looks for a new message
REFUSED_S = 0.5  # after a message without a signature, so that many of them take little of the processor
JOIN_S = 1.0
REQUEST = "desired.json"  # in the runtime directory: the message, for the unit that updates
RESULT = Path("/var/lib/edged-fleet/result.json")  # of that unit
UPDATE_S = 3600.0  # for the unit that updates to answer, by a restart or a result; systemd ends it after 45 minutes
MAX_REASON_CHARS = 500
LOG_LINES, LOG_PERIOD_S = 20, 60.0
NO_FILES = "the daemon was started with one file, and no settings of a fleet are written there"
NO_SERVICE = "no /run/edged: versions change only where the daemon is a service"
NO_ANSWER = "edged-fleet.service has not answered within an hour; see journalctl -u edged-fleet -u edged-fleet.path"
NOT_STARTED = "the daemon did not start with these settings; those before are restored"
NOT_IN_EFFECT = "the daemon could not run with these settings; those before are restored, see its log"

State = Literal["none", "waiting", "updating", "applied", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What must survive a restart."""

    accepted: Mapping[str, tuple[int, str]] = field(default_factory=dict)  # by group: number and digest of the last one
    applied: int | None = None  # the message whose wishes are in effect
    trying: int | None = None  # whose settings are on trial
    failed: tuple[int, str] | None = None  # number and reason
    stage: tuple[str, float] | None = None  # of the last accepted message: what is wanted, and of how many percent


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetSite:
    """What this device has of its own."""

    group: str
    device: str
    base: str  # `mqtt.base_topic`
    state_file: Path
    settings: FleetSettings | None  # None: the daemon was started with one file
    runtime_dir: Path | None  # None: it is no service
    keys: Callable[[], Sequence[str]]  # lines of trusted keys
    clock_synced: Callable[[], bool]
    version: str = package_version(__version__)
    result: Path = RESULT


class FleetMember:
    """`reload` has the daemon read its files, and returns what was `restarted`; `in_effect`: it runs with them."""

    def __init__(
        self,
        site: FleetSite,
        bus: Bus,
        headers: HeaderFactory,
        *,
        reload: Callable[[], Mapping[str, Any]],
        in_effect: Callable[[], bool],
    ) -> None:
        self._site = site
        self._bus = bus
        self._headers = headers
        self._reload = reload
        self._in_effect = in_effect
        self._file = JsonState(site.state_file, "messages of the fleet")
        self._kept = self._file.read(_parse, Kept())
        self._arrived: deque[bytes] = deque(maxlen=1)  # only the newest counts
        self._message = b""  # the last accepted one
        self._waiting = b""  # one that is not taken yet, as the clock is not set
        self._desired: Desired | None = None
        self._state: State = "none"
        self._asked_s = 0.0  # when the version was asked for, CLOCK_MONOTONIC
        self._log_limit = LogLimit(LOG_LINES, LOG_PERIOD_S)
        self._thread = SupervisedThread("fleet", self._step)

    def start(self) -> None:
        if not self._site.keys():
            log.warning("fleet: no message is followed without a key in /%s; run as root: edged trust KEY.pub", SIGNERS)
        self._end_trial()
        self._report(self._state_before())
        self._bus.subscribe(desired_topic(self._site.base, self._site.group), self.on_message)
        self._thread.start()

    def _state_before(self) -> State:
        """What is known before the message has come again."""
        number = self._kept.accepted.get(self._site.group, (None, ""))[0]
        if number is None or self._kept.failed:
            return "failed" if self._kept.failed else "none"
        return "applied" if self._kept.applied == number else "waiting"

    def close(self) -> None:
        self._thread.stop()
        self._thread.join(JOIN_S)

    def on_message(self, request: Request) -> None:
        """Take a message. Any thread; does not wait."""
        self._arrived.append(request.payload)
        self._thread.wake()

    def _step(self) -> float:
        if self._arrived:
            self._waiting = self._arrived.pop()  # an empty one: the topic was cleared
        if self._waiting:
            self._take(self._waiting)
        elif self._state == "updating" and not self._look_at_result() and time.monotonic() - self._asked_s > UPDATE_S:
            self._fail(self._desired.number if self._desired else 0, NO_ANSWER)
        return POLL_S

    def _take(self, message: bytes) -> None:
        keys = self._site.keys()
        if depends_on_time(keys) and not self._site.clock_synced():
            return
        self._waiting = b""
        try:
            desired = unseal(message, keys)
            self._accept(desired, hashlib.sha256(message).hexdigest())
        except NotTrusted as exc:
            if self._log_limit.allow():
                log.warning("fleet: ignored: %s", exc)
            self._thread.stopping.wait(REFUSED_S)
            return
        self._message, self._desired = message, desired
        self._follow(desired)

    def _accept(self, desired: Desired, digest: str) -> None:
        """Raises `NotTrusted` for one of another group, and for an older one than was accepted before."""
        group = self._site.group
        if desired.group != group:
            raise NotTrusted(f"message {desired.number} is for the group {desired.group}, this device is of {group}")
        number, known = self._kept.accepted.get(group, (0, ""))
        if desired.number < number or (desired.number == number and digest != known):
            raise NotTrusted(f"message {desired.number} is not newer than {number}, which was accepted before")
        if desired.number > number:
            log.info("fleet: message %d for the group %s accepted", desired.number, group)
            accepted = {**self._kept.accepted, group: (desired.number, digest)}
            failed = self._kept.failed if self._continues(desired) else None
            self._keep(accepted=accepted, failed=failed, stage=(desired.content, desired.share_percent))

    def _continues(self, desired: Desired) -> bool:
        """Whether it is the next stage of the roll-out before, or its end; what failed is then not tried again."""
        content, share = self._kept.stage or ("", 0.0)
        return desired.content == content and (desired.share_percent == 0 or 0 < share < desired.share_percent)

    def _follow(self, desired: Desired) -> None:
        """Do what is wanted, a version first: its settings may need it."""
        if self._kept.failed is not None:
            self._report("failed")
            return
        version_differs = desired.version not in (None, self._site.version)
        text = self._site.settings.text if self._site.settings else ""
        if not version_differs and text == desired.configuration:
            self._applied(desired.number)
        elif not desired.includes(self._site.device):
            self._report("waiting")
        else:
            try:
                self._update() if version_differs else self._configure(desired)
            except (ConfigError, CommandRejected, NotWritten) as exc:
                self._fail(desired.number, str(exc))

    def _update(self) -> None:
        """Ask for the version. Raises `NotWritten`."""
        if self._site.runtime_dir is None:
            raise NotWritten(NO_SERVICE)
        self._report("updating")
        self._asked_s = time.monotonic()
        if self._look_at_result():
            return
        try:
            write_file(self._site.runtime_dir / REQUEST, self._message.decode(), 0o644)
        except OSError as exc:
            raise NotWritten(f"{self._site.runtime_dir / REQUEST}: {exc.strerror}") from exc

    def _look_at_result(self) -> bool:
        """Whether the unit that updates has failed with this very message; that is then reported."""
        try:
            result = foreign_json(self._site.result.read_bytes())
        except OSError:
            return False
        number = self._desired.number if self._desired else 0
        if not isinstance(result, dict) or result.get("number") != number or not result.get("error"):
            return False
        self._fail(number, str(result["error"]))
        return True

    def _configure(self, desired: Desired) -> None:
        """Check, write and apply the settings. Raises ConfigError, CommandRejected, `NotWritten`; nothing changed."""
        settings = self._site.settings
        if settings is None:
            raise ConfigError(NO_FILES)
        etc = settings.place.parents[1]
        checked_config(read_layers(etc=etc, replaced={settings.place: desired.configuration}))
        self._keep(trying=desired.number)
        try:
            settings.begin(desired.configuration, desired.number)
            restarted = self._reload().get("restarted", ())
        except LoopEnded:  # the next daemon ends the trial
            return
        except CommandRejected:
            settings.back()
            raise
        if "everything" not in restarted:  # else the next daemon ends the trial
            settings.keep()
            self._applied(desired.number)

    def _end_trial(self) -> None:
        """At a start: keep settings that the daemon runs with now; restore the others."""
        settings, tried = self._site.settings, self._kept.trying
        if settings is None:
            return
        if trial := settings.trial:
            if self._in_effect():
                settings.keep()
                self._keep(trying=None, applied=trial.number)
            else:
                self._keep(trying=None, failed=(trial.number, NOT_IN_EFFECT))
                try:
                    settings.back()
                except NotWritten as exc:  # the daemon runs on with what it has
                    log.error("fleet: %s", exc)
        elif tried is not None:  # the file before was restored at the start
            self._keep(trying=None, failed=(tried, NOT_STARTED))

    def _applied(self, number: int) -> None:
        if self._kept.applied != number or self._kept.trying is not None:
            log.info("fleet: message %d is in effect", number)
            self._keep(applied=number, trying=None)
        self._report("applied")

    def _fail(self, number: int, reason: str) -> None:
        reason = printable(reason, MAX_REASON_CHARS)
        log.warning("fleet: message %d failed: %s", number, reason)
        self._keep(trying=None, failed=(number, reason))
        self._report("failed")

    def _keep(self, **changes: Any) -> None:
        self._kept = replace(self._kept, **changes)
        self._file.write(asdict(self._kept))

    def _report(self, state: State) -> None:
        self._state = state
        text = self._site.settings.text if self._site.settings else ""
        body = {
            "group": self._site.group,
            "desired_number": self._kept.accepted.get(self._site.group, (None, ""))[0],
            "applied_number": self._kept.applied,
            "state": state,
            "reason": self._kept.failed[1] if self._kept.failed else "",
            "version": self._site.version,
            "configuration_sha256": hashlib.sha256(text.encode()).hexdigest() if text else None,
        }
        self._bus.publish(REPORTED.at(), build.reported(self._headers, body))


def _parse(value: Any) -> Kept:
    """Raises what `JsonState` takes for a damaged file."""
    accepted = {str(group): (int(number), str(digest)) for group, (number, digest) in value["accepted"].items()}
    failed = value["failed"] and (int(value["failed"][0]), str(value["failed"][1]))
    numbers = {name: None if value[name] is None else int(value[name]) for name in ("applied", "trying")}
    stage = value.get("stage") and (str(value["stage"][0]), float(value["stage"][1]))  # missing: of an earlier version
    return Kept(accepted=accepted, failed=failed, stage=stage, **numbers)
