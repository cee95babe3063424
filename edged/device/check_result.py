"""One result of `edged doctor`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """One line of the report."""

    check: str
    ok: bool | None  # None: does not apply here, or could not be checked
    message: str
    do: str = ""


def passed(check: str, message: str) -> CheckResult:
    return CheckResult(check=check, ok=True, message=message)


def failed(check: str, message: str, do: str) -> CheckResult:
    return CheckResult(check=check, ok=False, message=message, do=do)


def unchecked(check: str, message: str) -> CheckResult:
    return CheckResult(check=check, ok=None, message=message)
