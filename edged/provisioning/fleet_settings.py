"""`conf.d/70-fleet.toml`, changed with a way back: the file before is kept until the daemon runs with the new one.

Upstream: `control.fleet`, and the start of the daemon. Downstream: the disk. The place in `conf.d` is a link to the
state directory, which the daemon may write; `edged provision` makes it.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from edged.config.fleet_file import FLEET_FILE
from edged.errors import NotWritten
from edged.provisioning.atomic_files import write_file

TRIAL_FILE = "fleet-trial.json"
MAX_STARTS = 1  # of the daemon with settings that are on trial; at the next start those before come back
MODE = 0o644


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsTrial:
    """Settings that the daemon has not run with yet."""

    number: int  # of the message they are from
    before: str  # the file before
    starts: int = 0


class FleetSettings:
    """The file of a site's folder. One thread at a time."""

    def __init__(self, etc: Path) -> None:
        self.place = etc / "conf.d" / FLEET_FILE

    @property
    def text(self) -> str:
        """The file; empty where there is none."""
        try:
            return self._file.read_text()
        except FileNotFoundError:
            return ""

    @property
    def trial(self) -> SettingsTrial | None:
        """What is being tried; None: nothing, or the note of it is damaged."""
        try:
            return SettingsTrial(**json.loads(self._note.read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def begin(self, text: str, number: int) -> None:
        """Write the file, for a trial. Raises `NotWritten`."""
        self._write_note(SettingsTrial(number=number, before=self.text))
        try:
            write_file(self._file, text, MODE)
        except OSError as exc:
            self.keep()
            raise self._unwritable(exc) from exc

    def keep(self) -> None:
        """The trial is over: the daemon runs with the file."""
        self._note.unlink(missing_ok=True)

    def back(self) -> None:
        """Restore the file before the trial. Raises `NotWritten`."""
        if trial := self.trial:
            try:
                write_file(self._file, trial.before, MODE)
            except OSError as exc:
                raise self._unwritable(exc) from exc
        self.keep()

    def count_start(self) -> bool:
        """Called before the configuration is read at a start: whether the file before a failed trial was restored.

        Raises `NotWritten`.
        """
        trial = self.trial
        if trial is None:
            return False
        if trial.starts >= MAX_STARTS:
            self.back()
            return True
        self._write_note(replace(trial, starts=trial.starts + 1))
        return False

    @property
    def _file(self) -> Path:
        """The file itself where `conf.d` has a link to it."""
        return Path(os.path.realpath(self.place))

    @property
    def _note(self) -> Path:
        return self._file.with_name(TRIAL_FILE)

    def _write_note(self, trial: SettingsTrial) -> None:
        try:
            write_file(self._note, json.dumps(asdict(trial)), MODE)
        except OSError as exc:
            raise self._unwritable(exc) from exc

    def _unwritable(self, exc: OSError) -> NotWritten:
        do = f"as root: ln -s /var/lib/edged/{FLEET_FILE} {self.place}, or `edged provision FILE`, which does it"
        return NotWritten(f"{self._file}: {exc.strerror}; {do}", "unwritable")
