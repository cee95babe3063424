"""Alerts that have not closed, kept through a restart, a kill and an upgrade.

Upstream: each stage of each alert, before it is published. Downstream: `SceneMonitor`, which goes on with them.
A stage is written with its message, which is published again at the next start unless the bus is known to have stored
it. It keeps its id, by which the bus leaves out a repetition.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edged.behaviour.alert_rules import RULES, AlertEvidence, AlertRule
from edged.behaviour.alerts import Alert
from edged.runtime.boot import boot_id
from edged.runtime.json_state import JsonState
from edged.units import NS_PER_MS

TIMES = ("since_ns", "snoozed_until_ns", "published_ns")

Utc = Callable[[int], int]  # CLOCK_MONOTONIC in ns to UTC in ms


class AlertStore:
    """One file. Thread: any."""

    def __init__(self, path: Path, utc_ms: Utc, this_boot: str | None = None) -> None:
        self._file = JsonState(path, "open alerts")
        self._utc_ms = utc_ms
        self._boot_id = boot_id() if this_boot is None else this_boot
        self._lock = threading.Lock()
        self._entries: dict[str, dict[str, Any]] = {}  # by alert id

    def load(self, now_ns: int) -> tuple[list[Alert], list[Mapping[str, Any]]]:
        """The alerts that are open, by this process's clock, and the messages that may not have been stored."""
        saved: dict[str, Any] = self._file.read(_parse, {"alerts": []})
        offset_ns = self._offset_ns(saved, now_ns) if saved["alerts"] else 0
        with self._lock:
            for entry in saved["alerts"]:
                shifted = {name: entry[name] + offset_ns for name in TIMES}
                self._entries[entry["id"]] = {**entry, **shifted}
            entries = list(self._entries.values())
        alerts = [_alert(entry) for entry in entries if entry["stage"] != "closed"]
        return alerts, [message for entry in entries for message in entry["messages"]]

    def put(self, alert: Alert, message: Mapping[str, Any], publish: Callable[[], None]) -> None:
        """Write the stage, then publish its message."""
        with self._lock:
            waiting = self._entries[alert.id]["messages"] if alert.id in self._entries else []
            self._entries[alert.id] = {**_entry(alert), "messages": [*waiting, dict(message)]}
            self._write(alert.published_ns)
            publish()

    def confirm(self, now_ns: int, is_stored: Callable[[], bool]) -> None:
        """Forget the messages that the bus has stored by now, and alerts that have closed."""
        with self._lock:
            if not any(entry["messages"] for entry in self._entries.values()) or not is_stored():
                return
            left = {key: entry for key, entry in self._entries.items() if entry["stage"] != "closed"}
            self._entries = {key: {**entry, "messages": []} for key, entry in left.items()}
            self._write(now_ns)

    def _write(self, now_ns: int) -> None:  # under the lock
        clock = {"boot_id": self._boot_id, "now_ns": now_ns, "utc_ms": self._utc_ms(now_ns)}
        self._file.write({**clock, "alerts": list(self._entries.values())})

    def _offset_ns(self, saved: Mapping[str, Any], now_ns: int) -> int:
        """From the clock of the process that wrote the file to ours, which another boot begins anew."""
        if saved["boot_id"] == self._boot_id and saved["now_ns"] <= now_ns:
            return 0
        elapsed_ms = max(0, self._utc_ms(now_ns) - saved["utc_ms"])  # a clock that is not set yet is behind
        return int(now_ns - elapsed_ms * NS_PER_MS - saved["now_ns"])


def _entry(alert: Alert) -> dict[str, Any]:
    rule = alert.rule
    plain = {name: getattr(alert, name) for name in ("id", "camera", "stage", "reason", "duration_s", "reminders")}
    times = {name: getattr(alert, name) for name in TIMES}
    evidence = None if alert.evidence is None else asdict(alert.evidence)
    return {**plain, **times, "kind": rule.kind, "severity": rule.severity, "test": rule.is_test, "evidence": evidence}


def _alert(entry: Mapping[str, Any]) -> Alert:
    plain = {name: entry[name] for name in ("id", "camera", "stage", "reason", "duration_s", "reminders", *TIMES)}
    evidence = None if entry["evidence"] is None else AlertEvidence(**entry["evidence"])
    return Alert(rule=_rule(entry), evidence=evidence, **plain)


def _rule(entry: Mapping[str, Any]) -> AlertRule:
    """The rule of the alert; of a test, or a kind that this version does not know, one that never holds."""
    known = _find(RULES, entry["kind"])
    if known is not None and not entry["test"]:
        return known
    return AlertRule(
        kind=entry["kind"],
        severity=entry["severity"],
        holds=lambda observation: False,
        reason=lambda observation: "",
        open_after_s=0,
        close_after_s=0,
        is_test=entry["test"],
    )


def _find(rules: Iterable[AlertRule], kind: str) -> AlertRule | None:
    return next((rule for rule in rules if rule.kind == kind), None)


def _parse(saved: dict[str, Any]) -> dict[str, Any]:
    """Raises ValueError, TypeError or LookupError for what was not written by `_write`."""
    if saved["alerts"]:
        int(saved["now_ns"]), int(saved["utc_ms"]), str(saved["boot_id"])
    for entry in saved["alerts"]:
        _alert(entry)
        if not all(isinstance(entry[name], int) for name in TIMES):
            raise ValueError(f"times of {entry['id']}")
        if any(message["camera"] != entry["camera"] for message in entry["messages"]):
            raise ValueError(f"messages of {entry['id']}")
    return saved
