"""The engine store: `<root>/<model>/<key>/` with engine.plan, meta.json and proof.json, and `current` beside them.

A directory appears whole or not at all; a plan's hash is checked whenever it is read, and a wrong one is quarantined.
Attempts are counted before they begin, so that a build that crashes the machine counts too.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engines.errors import PlanRefused
from engines.store.disk import publish, sha256, sync, translate_os_errors
from engines.store.key import EngineKey
from engines.units import BYTES_PER_MB

log = logging.getLogger(__name__)

MAX_ATTEMPTS = 3  # failed builds of one key after which it is not tried again
ENGINES_PER_MODEL = 2  # the current one, and the previous one for a rollback
MAX_QUARANTINED = 3  # quarantined engines kept for inspection
PLAN, META, PROOF, CURRENT, TRIES = "engine.plan", "meta.json", "proof.json", "current", "attempts.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEngine:
    """One engine in the store."""

    model: str
    folder: Path
    key: EngineKey
    meta: dict[str, Any]  # sha256, bytes, seconds, peak_rss_mb, built, family, tensors
    proof: dict[str, Any] | None  # None: it was never run

    @property
    def is_verified(self) -> bool:
        return self.proof is not None and not self.proof["faults"]

    def read(self) -> bytes:
        """The serialized engine. Raises `PlanRefused` when it is not what was stored."""
        path = self.folder / PLAN
        try:
            data = path.read_bytes()
        except OSError as exc:
            raise PlanRefused(f"{path}: {exc.strerror}") from exc
        if len(data) != self.meta["bytes"] or sha256(path) != self.meta["sha256"]:
            raise PlanRefused(f"{path}: {len(data)} bytes that are not the ones stored ({self.meta['bytes']})")
        return data


class EngineStore:
    """`root` is made when first needed; `quota_mb` is what engines may take beside those in use."""

    def __init__(self, root: Path, quota_mb: int | None = None) -> None:
        self._root = root
        self._quota_mb = quota_mb
        self.partial = root / ".partial"
        self._quarantined = root / ".quarantine"

    def find(self, model: str, key: EngineKey) -> StoredEngine | None:
        """The engine with that key, if there is one that can be read about."""
        return self._open(model, self._root / model / key.digest)

    def engines(self, model: str) -> list[StoredEngine]:
        """A model's engines, the newest first."""
        folders = (self._root / model).glob("*/")
        found = [plan for folder in folders if not folder.is_symlink() and (plan := self._open(model, folder))]
        return sorted(found, key=lambda plan: plan.meta["built"], reverse=True)

    def models(self) -> list[str]:
        """Models that have, or had, an engine here."""
        with translate_os_errors(self._root):
            return sorted(folder.name for folder in self._root.glob("[!.]*/"))

    def publish(
        self, model: str, key: EngineKey, plan: Path, meta: dict[str, Any], proof: dict[str, Any] | None
    ) -> StoredEngine:
        """Move a built engine into the store; a verified one becomes the current one. Raises `StoreError`."""
        folder = self._root / model / key.digest
        part = self.partial / f"{model}-{key.digest}"
        with translate_os_errors(part):
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
            folder.parent.mkdir(parents=True, exist_ok=True)
            full_meta = {
                "key": asdict(key),
                "sha256": sha256(plan),
                "bytes": plan.stat().st_size,
                "built": time.time(),
                **meta,
            }
            os.replace(plan, part / PLAN)
            _write(part / META, full_meta)
            if proof is not None:
                _write(part / PROOF, proof)
            for path in (*part.iterdir(), part):
                sync(path)
            if folder.exists():
                self._quarantine(folder, "replaced")
            publish(part, folder)
        made = StoredEngine(model=model, folder=folder, key=key, meta=full_meta, proof=proof)
        if made.is_verified:
            self._set_current(model, key.digest)
        self.enforce_quota()
        return made

    def record_selftest(self, plan: StoredEngine, proof: dict[str, Any]) -> StoredEngine:
        """Store the result of a later self-test; a verified engine becomes the current one."""
        part = self.partial / f"{plan.model}-{plan.key.digest}.proof"
        with translate_os_errors(part):
            part.parent.mkdir(parents=True, exist_ok=True)
            _write(part, proof)
        publish(part, plan.folder / PROOF)
        made = StoredEngine(model=plan.model, folder=plan.folder, key=plan.key, meta=plan.meta, proof=proof)
        if made.is_verified:
            self._set_current(plan.model, plan.key.digest)
        return made

    def current(self, model: str) -> StoredEngine | None:
        """The engine that passed its self-test last, or None."""
        link = self._root / model / CURRENT
        return self._open(model, link.resolve()) if link.is_symlink() and link.exists() else None

    def rollback(self, model: str) -> StoredEngine | None:
        """Make the verified engine before the current one current, and return it; None when there is none."""
        now = self.current(model)
        older = [p for p in self.engines(model) if p.is_verified and (now is None or p.key.digest != now.key.digest)]
        if older:
            self._set_current(model, older[0].key.digest)
        return older[0] if older else None

    def quarantine(self, plan: StoredEngine, reason: str) -> None:
        """Move an engine into the quarantine folder, with the reason beside it."""
        log.warning("engine of %s is quarantined: %s", plan.model, reason)
        with translate_os_errors(plan.folder):
            self._quarantine(plan.folder, reason)

    def attempts(self, model: str, key: EngineKey) -> int:
        """Number of begun builds of that key that did not succeed."""
        return int(self._attempts(model).get(key.digest, {}).get("count", 0))

    def last_failure(self, model: str, key: EngineKey) -> str | None:
        reason = self._attempts(model).get(key.digest, {}).get("reason")
        return None if reason is None else str(reason)

    def begin(self, model: str, key: EngineKey) -> int:
        """Count an attempt before it is made; its number."""
        number = self.attempts(model, key) + 1
        self._record_attempt(
            model, key, {"count": number, "reason": "it never ended: the machine or the daemon went down"}
        )
        return number

    def failed(self, model: str, key: EngineKey, reason: str) -> None:
        self._record_attempt(model, key, {"count": self.attempts(model, key), "reason": reason})

    def forget(self, model: str, key: EngineKey) -> None:
        """Reset the attempts: the build succeeded, or it is to be tried again."""
        self._record_attempt(model, key, None)

    def clean(self) -> list[str]:
        """Remove unfinished builds, quarantined and superseded engines; returns what was removed."""
        with translate_os_errors(self._root):
            gone = [path for folder in (self.partial, self._quarantined) for path in sorted(folder.glob("*"))]
            for folder in (self.partial, self._quarantined):
                shutil.rmtree(folder, ignore_errors=True)
        return [f"{path.parent.name}/{path.name}" for path in gone] + self.enforce_quota()

    def enforce_quota(self) -> list[str]:
        """Keep the store bounded: of each model the engine in use and the one before, the latter within the quota.

        Returns what was removed. Raises `StoreError`.
        """
        with translate_os_errors(self._root):
            by_age = sorted(self._quarantined.glob("*"), key=lambda path: path.stat().st_mtime_ns)
            quarantined = by_age[:-MAX_QUARANTINED]
            spare = {model: self._removable(model) for model in self.models()}
            old = [plan for plans in spare.values() for plan in plans[ENGINES_PER_MODEL - 1 :]]
            rest = sorted(
                (p for plans in spare.values() for p in plans[: ENGINES_PER_MODEL - 1]),
                key=lambda p: float(p.meta["built"]),
            )
            while rest and self._quota_mb is not None and _size(rest) > self._quota_mb * BYTES_PER_MB:
                old.append(rest.pop(0))
            for folder in (*quarantined, *(plan.folder for plan in old)):
                shutil.rmtree(folder)
        return [f"{path.parent.name}/{path.name}" for path in quarantined] + [f"{p.model}/{p.key.digest}" for p in old]

    def _removable(self, model: str) -> list[StoredEngine]:
        """Engines beside the one in use, or the newest where none is; those to go back to first, then by age."""
        plans = sorted(self.engines(model), key=lambda plan: plan.is_verified, reverse=True)
        now = self.current(model) or next(iter(plans), None)
        return [plan for plan in plans if now is None or plan.key.digest != now.key.digest]

    def _open(self, model: str, folder: Path) -> StoredEngine | None:
        """None for a foreign or damaged folder."""
        try:
            meta = json.loads((folder / META).read_text())
            proof = json.loads((folder / PROOF).read_text()) if (folder / PROOF).exists() else None
            key = EngineKey.read(meta["key"])
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None
        return StoredEngine(model=model, folder=folder, key=key, meta=meta, proof=proof)

    def _set_current(self, model: str, digest: str) -> None:
        link = self._root / model / CURRENT
        part = link.with_name(f".{CURRENT}")
        with translate_os_errors(link):
            part.unlink(missing_ok=True)
            part.symlink_to(digest)
            os.replace(part, link)
            sync(link.parent)

    def _quarantine(self, folder: Path, reason: str) -> None:
        self._quarantined.mkdir(parents=True, exist_ok=True)
        place = self._quarantined / f"{folder.parent.name}-{folder.name}-{time.time_ns()}"
        os.replace(folder, place)
        (place / "reason.txt").write_text(reason + "\n")

    def _attempts(self, model: str) -> dict[str, Any]:
        try:
            tries = json.loads((self._root / model / TRIES).read_text())
        except (OSError, ValueError):
            return {}
        return tries if isinstance(tries, dict) else {}

    def _record_attempt(self, model: str, key: EngineKey, entry: dict[str, Any] | None) -> None:
        tries = {**self._attempts(model), key.digest: entry}
        path = self._root / model / TRIES
        with translate_os_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(".part")
            _write(part, {digest: entry for digest, entry in tries.items() if entry is not None})
        publish(part, path)


def _size(plans: Sequence[StoredEngine]) -> int:
    return sum(int(plan.meta["bytes"]) for plan in plans)


def _write(path: Path, table: dict[str, Any]) -> None:
    path.write_text(json.dumps(table, indent=2, sort_keys=True) + "\n")
