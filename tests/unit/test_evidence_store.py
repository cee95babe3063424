"""Stills and clips of alerts on disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edged.evidence.store import EvidenceStore

DAY_S = 86_400.0


def alert_id(number: int) -> str:
    return f"{number:032x}"


def put(store: EvidenceStore, number: int, at_s: float, size: int = 10_000) -> None:
    """The evidence of one alert, begun at that time."""
    store.put(alert_id(number), {"plain.jpg": bytes(size), "still.jpg": bytes(size), "clip.mp4": bytes(4 * size)})
    store.put_message(alert_id(number), {"alert_id": alert_id(number), "camera": "a"})
    os.utime(store.folder(alert_id(number)) / "plain.jpg", (at_s, at_s))


def size_of(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def test_a_day_of_24_alerts_an_hour_stays_within_the_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engines.store.disk.sync", lambda path: None)  # 2 304 waits for the disk
    store = EvidenceStore(tmp_path, max_mb=2, max_days=14)
    for number in range(24 * 24):
        put(store, number, at_s=number * 150.0)
        store.prune(number * 150.0)
        assert size_of(tmp_path) <= 2_000_000
    left = [alert["alert_id"] for alert in store.alerts()]
    assert left == [alert_id(number) for number in reversed(range(576 - len(left), 576))]
    assert len(left) > 25


def test_old_evidence_is_deleted(tmp_path: Path) -> None:
    store = EvidenceStore(tmp_path, max_mb=100, max_days=2)
    put(store, 1, at_s=0.0)
    put(store, 2, at_s=DAY_S)
    store.prune(2.5 * DAY_S)
    assert [alert["alert_id"] for alert in store.alerts()] == [alert_id(2)]


def test_listed_alert_says_which_parts_it_has(tmp_path: Path) -> None:
    store = EvidenceStore(tmp_path, max_mb=1, max_days=1)
    store.put(alert_id(1), {"still.jpg": b"x"})
    store.put_message(alert_id(1), {"camera": "a", "stage": "open"})
    assert store.alerts() == [{"camera": "a", "stage": "open", "parts": ["still"]}]
    assert store.camera(alert_id(1)) == "a"
    assert store.path(alert_id(1), "clip") is None


@pytest.mark.parametrize("name", ["", "..", "../../etc/passwd", "A" * 32, "0" * 31, "0" * 33, "0" * 32 + "\n"])
def test_what_is_no_alert_id_leads_nowhere(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "box/evidence"
    folder.mkdir(parents=True)
    store = EvidenceStore(folder, max_mb=1, max_days=1)
    there = folder / name
    there.mkdir(parents=True, exist_ok=True)
    (there / "still.jpg").touch()
    (there / "alert.json").write_text('{"camera": "a"}')
    assert store.path(name, "still") is None
    assert store.camera(name) is None
    assert not store.has(name)
    with pytest.raises(ValueError, match="no id"):
        store.folder(name)


def test_damaged_message_is_passed_over(tmp_path: Path) -> None:
    store = EvidenceStore(tmp_path, max_mb=1, max_days=1)
    for number, text in enumerate((b"", b"[]", b"{")):
        store.put(alert_id(number), {"alert.json": text})
    assert store.alerts() == []
