"""The report: JSON for machines, Markdown for people, which carries the hash of the JSON and who signs for it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from edged.errors import NotWritten
from edged.hardware_report.probe import Probe, ReportRow
from edged.hardware_report.table import PROBES

JSON, MARKDOWN = "hardware-report.json", "hardware-report.md"
HASH = re.compile(r"sha256 of hardware-report\.json: `([0-9a-f]{64})`")


def build_report(
    found: Mapping[str, list[ReportRow]], *, version: str, operator: str, at: str, seconds: float
) -> dict[str, Any]:
    """What is written. `at` is local time with its offset, ISO 8601."""
    probes = [
        {
            "probe": probe.name,
            "asks": probe.question,
            "supports": probe.support_row,
            "rows": [
                {"subject": row.subject, "state": row.state, "why": row.why, "figures": dict(row.figures)}
                for row in found[probe.name]
            ],
        }
        for probe in PROBES
        if probe.name in found
    ]
    return {"edged": version, "operator": operator, "at": at, "seconds": round(seconds), "probes": probes}


def make_folder(folder: Path) -> None:
    """Make the folder, and see that it can be written. Raises `NotWritten`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=folder).close()
    except OSError as exc:
        raise NotWritten(f"{folder}: {exc.strerror}; give --out a folder that can be written") from exc


def write(folder: Path, report: Mapping[str, Any]) -> None:
    """Into a folder that is prepared."""
    data = (json.dumps(report, indent=1, ensure_ascii=False) + "\n").encode()
    (folder / JSON).write_bytes(data)
    (folder / MARKDOWN).write_text("\n".join(_page(report, hashlib.sha256(data).hexdigest())) + "\n", "utf-8")


def signature_error(folder: Path) -> str:
    """Empty when the page is of these figures; else what is wrong with them."""
    try:
        told = HASH.search((folder / MARKDOWN).read_text("utf-8", errors="replace"))
        data = (folder / JSON).read_bytes()
    except OSError as exc:
        return f"{exc.filename}: {exc.strerror}"
    if told is None:
        return f"{folder / MARKDOWN} carries no hash"
    if told.group(1) != hashlib.sha256(data).hexdigest():
        return f"{folder / JSON} is not what {folder / MARKDOWN} was made from"
    return ""


def support_table(reports: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Lines for a support table: what was seen of each part, on which board, or that nobody has seen it yet."""
    taken = list(reports)
    for probe in PROBES:
        if probe.support_row:
            said = [seen for report in taken if (seen := _support_result(report, probe))]
            yield f"| {probe.support_row} | {'; '.join(said) or 'not run on hardware yet'} |"


def _support_result(report: Mapping[str, Any], probe: Probe) -> str:
    rows: list[Any] = next((asked["rows"] for asked in report["probes"] if asked["probe"] == probe.name), [])
    rows = [row for row in rows if probe.subject_part in row["subject"]]
    measured = [row for row in rows if row["state"] == "measured"]
    failures = [row for row in rows if row["state"] == "failed"]
    if not measured and not failures:
        return ""
    result = f"{len(failures)} of {len(measured) + len(failures)} failed" if failures else "measured"
    return f"{result} on {board_name(report)}, {report['at'][:10]}"


def board_name(report: Mapping[str, Any]) -> str:
    """What it was made on, in a few words."""
    rows = [row for asked in report["probes"] if asked["probe"] == "identity" for row in asked["rows"]]
    figures = rows[0]["figures"] if rows else {}
    release = f", L4T {figures['l4t']}" if figures.get("l4t") else ""
    return f"{figures.get('board', 'an unknown board')}{release}"


def _page(report: Mapping[str, Any], digest: str) -> Iterator[str]:
    rows = [row for asked in report["probes"] for row in asked["rows"]]
    counts = {
        state: sum(row["state"] == state for row in rows) for state in ("measured", "failed", "not possible here")
    }
    yield f"# What {board_name(report)} showed\n"
    yield f"edged {report['edged']}, {report['at']}, {report['seconds']} s. " + ", ".join(
        f"{count} {state}" for state, count in counts.items()
    )
    for asked in report["probes"]:
        yield f"\n## {asked['probe']}\n\n{asked['asks']}\n\n| | figures |\n|---|---|"
        yield from (f"| {_cell(row['subject'])} | {_cell(_row_text(row))} |" for row in asked["rows"])
    yield f"\n## Signed\n\nsha256 of {JSON}: `{digest}`\n\nOperator: {report['operator']}"
    yield "\n`edged hardware-report --verify FOLDER` compares the hash with the file."


def _row_text(row: Mapping[str, Any]) -> str:
    figures = ", ".join(f"{name} {value}" for name, value in row["figures"].items() if value is not None)
    if row["state"] == "measured":
        return figures
    return f"**{row['state']}**: {row['why']}{f' ({figures})' if figures else ''}"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
