"""The engine store: `<root>/<model>/<key>/` with engine.plan, meta.json and proof.json, and `current` beside them.

A directory appears whole or not at all; a plan is read with its hash checked, and put aside when it is wrong.
Attempts are counted before they begin, so that a build which takes the box down counts too.
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

from engines.disk import accessing, publish, sha256, sync
from engines.errors import PlanRefused
from engines.key import Key

log = logging.getLogger(__name__)

ATTEMPTS = 3  # builds of one key that may fail before nobody tries again
KEPT = 2  # engines of one model: the current one, and the one before for going back
ASIDE_KEPT = 3  # of what was put aside: enough to see what went wrong
BYTES_PER_MB = 1 << 20
PLAN, META, PROOF, CURRENT, TRIES = "engine.plan", "meta.json", "proof.json", "current", "attempts.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One engine in the store."""

    model: str
    folder: Path
    key: Key
    meta: dict[str, Any]  # sha256, bytes, seconds, peak_rss_mb, built, family, tensors
    proof: dict[str, Any] | None  # None: it was never run

    @property
    def proved(self) -> bool:
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


class Plans:
    """`root` is made when first needed; `quota_mb` is what engines may take beside those in use."""

    def __init__(self, root: Path, quota_mb: int | None = None) -> None:
        self._root = root
        self._quota_mb = quota_mb
        self.partial = root / ".partial"
        self._aside = root / ".quarantine"

    def find(self, model: str, key: Key) -> Plan | None:
        """The engine with that key, if there is one that can be read about."""
        return self._open(model, self._root / model / key.digest)

    def plans(self, model: str) -> list[Plan]:
        """A model's engines, the newest first."""
        folders = (self._root / model).glob("*/")
        found = [plan for folder in folders if not folder.is_symlink() and (plan := self._open(model, folder))]
        return sorted(found, key=lambda plan: plan.meta["built"], reverse=True)

    def models(self) -> list[str]:
        """Models that have, or had, an engine here."""
        with accessing(self._root):
            return sorted(folder.name for folder in self._root.glob("[!.]*/"))

    def publish(self, model: str, key: Key, plan: Path, meta: dict[str, Any], proof: dict[str, Any] | None) -> Plan:
        """Take a built engine over; a proved one becomes the current one. Raises `StoreError`."""
        folder = self._root / model / key.digest
        part = self.partial / f"{model}-{key.digest}"
        with accessing(part):
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
            folder.parent.mkdir(parents=True, exist_ok=True)
            told = {
                "key": asdict(key),
                "sha256": sha256(plan),
                "bytes": plan.stat().st_size,
                "built": time.time(),
                **meta,
            }
            os.replace(plan, part / PLAN)
            _write(part / META, told)
            if proof is not None:
                _write(part / PROOF, proof)
            for path in (*part.iterdir(), part):
                sync(path)
            if folder.exists():
                self._put_aside(folder, "replaced")
            publish(part, folder)
        made = Plan(model=model, folder=folder, key=key, meta=told, proof=proof)
        if made.proved:
            self._point(model, key.digest)
        self.tidy()
        return made

    def prove(self, plan: Plan, proof: dict[str, Any]) -> Plan:
        """Note what a later proof found; a proved engine becomes the current one."""
        part = self.partial / f"{plan.model}-{plan.key.digest}.proof"
        with accessing(part):
            part.parent.mkdir(parents=True, exist_ok=True)
            _write(part, proof)
        publish(part, plan.folder / PROOF)
        made = Plan(model=plan.model, folder=plan.folder, key=plan.key, meta=plan.meta, proof=proof)
        if made.proved:
            self._point(plan.model, plan.key.digest)
        return made

    def current(self, model: str) -> Plan | None:
        """The engine that was last found good."""
        link = self._root / model / CURRENT
        return self._open(model, link.resolve()) if link.is_symlink() and link.exists() else None

    def rollback(self, model: str) -> Plan | None:
        """Let the proved engine before the current one be the current one; None when there is none."""
        now = self.current(model)
        older = [p for p in self.plans(model) if p.proved and (now is None or p.key.digest != now.key.digest)]
        if older:
            self._point(model, older[0].key.digest)
        return older[0] if older else None

    def quarantine(self, plan: Plan, reason: str) -> None:
        """Put an engine where nobody looks for one, with the reason beside it."""
        log.warning("engine of %s is put aside: %s", plan.model, reason)
        with accessing(plan.folder):
            self._put_aside(plan.folder, reason)

    def attempts(self, model: str, key: Key) -> int:
        """Builds of that key that were begun and did not end well."""
        return int(self._tries(model).get(key.digest, {}).get("count", 0))

    def last_failure(self, model: str, key: Key) -> str | None:
        reason = self._tries(model).get(key.digest, {}).get("reason")
        return None if reason is None else str(reason)

    def begin(self, model: str, key: Key) -> int:
        """Count an attempt before it is made; its number."""
        number = self.attempts(model, key) + 1
        self._note(model, key, {"count": number, "reason": "it never ended: the box or the daemon went down"})
        return number

    def failed(self, model: str, key: Key, reason: str) -> None:
        self._note(model, key, {"count": self.attempts(model, key), "reason": reason})

    def forget(self, model: str, key: Key) -> None:
        """It went well, or a person wants it tried again."""
        self._note(model, key, None)

    def clean(self) -> list[str]:
        """Remove halves, what was put aside, and engines that nobody goes back to; what went."""
        with accessing(self._root):
            gone = [path for folder in (self.partial, self._aside) for path in sorted(folder.glob("*"))]
            for folder in (self.partial, self._aside):
                shutil.rmtree(folder, ignore_errors=True)
        return [f"{path.parent.name}/{path.name}" for path in gone] + self.tidy()

    def tidy(self) -> list[str]:
        """Keep the store bounded: of each model the engine in use and the one before, the latter within the quota.

        Returns what went. Raises `StoreError`.
        """
        with accessing(self._root):
            aside = sorted(self._aside.glob("*"), key=lambda path: path.stat().st_mtime_ns)[:-ASIDE_KEPT]
            spare = {model: self._spare(model) for model in self.models()}
            old = [plan for plans in spare.values() for plan in plans[KEPT - 1 :]]
            rest = sorted(
                (p for plans in spare.values() for p in plans[: KEPT - 1]), key=lambda p: float(p.meta["built"])
            )
            while rest and self._quota_mb is not None and _size(rest) > self._quota_mb * BYTES_PER_MB:
                old.append(rest.pop(0))
            for folder in (*aside, *(plan.folder for plan in old)):
                shutil.rmtree(folder)
        return [f"{path.parent.name}/{path.name}" for path in aside] + [f"{p.model}/{p.key.digest}" for p in old]

    def _spare(self, model: str) -> list[Plan]:
        """Engines beside the one in use, or the newest where none is; those to go back to first, then by age."""
        plans = sorted(self.plans(model), key=lambda plan: plan.proved, reverse=True)
        now = self.current(model) or next(iter(plans), None)
        return [plan for plan in plans if now is None or plan.key.digest != now.key.digest]

    def _open(self, model: str, folder: Path) -> Plan | None:
        """None for a folder that is none of ours, or damaged."""
        try:
            meta = json.loads((folder / META).read_text())
            proof = json.loads((folder / PROOF).read_text()) if (folder / PROOF).exists() else None
            key = Key.read(meta["key"])
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None
        return Plan(model=model, folder=folder, key=key, meta=meta, proof=proof)

    def _point(self, model: str, digest: str) -> None:
        link = self._root / model / CURRENT
        part = link.with_name(f".{CURRENT}")
        with accessing(link):
            part.unlink(missing_ok=True)
            part.symlink_to(digest)
            os.replace(part, link)
            sync(link.parent)

    def _put_aside(self, folder: Path, reason: str) -> None:
        self._aside.mkdir(parents=True, exist_ok=True)
        place = self._aside / f"{folder.parent.name}-{folder.name}-{time.time_ns()}"
        os.replace(folder, place)
        (place / "reason.txt").write_text(reason + "\n")

    def _tries(self, model: str) -> dict[str, Any]:
        try:
            tries = json.loads((self._root / model / TRIES).read_text())
        except (OSError, ValueError):
            return {}
        return tries if isinstance(tries, dict) else {}

    def _note(self, model: str, key: Key, entry: dict[str, Any] | None) -> None:
        tries = {**self._tries(model), key.digest: entry}
        path = self._root / model / TRIES
        with accessing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(".part")
            _write(part, {digest: told for digest, told in tries.items() if told is not None})
        publish(part, path)


def _size(plans: Sequence[Plan]) -> int:
    return sum(int(plan.meta["bytes"]) for plan in plans)


def _write(path: Path, table: dict[str, Any]) -> None:
    path.write_text(json.dumps(table, indent=2, sort_keys=True) + "\n")
