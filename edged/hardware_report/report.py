"""The report as two files: JSON, and a Markdown page with the hash of the JSON and the operator's name."""

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
from edged.hardware_report.runner import PROBES

JSON, MARKDOWN = "hardware-report.json", "hardware-report.md"
HASH = re.compile(r"sha256 of hardware-report\.json: `([0-9a-f]{64})`")


def build_report(
    rows_by_probe: Mapping[str, list[ReportRow]], *, version: str, operator: str, at: str, seconds: float
) -> dict[str, Any]:
    """The content of the JSON file. `at`: local time with its offset, ISO 8601."""
    probes = [
        {
            "probe": probe.name,
            "question": probe.question,
            "support_row": probe.support_row,
            "rows": [
                {"subject": row.subject, "state": row.state, "why": row.why, "figures": dict(row.figures)}
                for row in rows_by_probe[probe.name]
            ],
        }
        for probe in PROBES
        if probe.name in rows_by_probe
    ]
    return {"edged": version, "operator": operator, "at": at, "seconds": round(seconds), "probes": probes}


def make_folder(folder: Path) -> None:
    """Create the folder and check that it is writable. Raises NotWritten."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=folder).close()
    except OSError as exc:
        raise NotWritten(f"{folder}: {exc.strerror}; give --out a writable folder", "folder") from exc


def write(folder: Path, report: Mapping[str, Any]) -> None:
    """Write both files into a folder from `make_folder`."""
    data = (json.dumps(report, indent=1, ensure_ascii=False) + "\n").encode()
    (folder / JSON).write_bytes(data)
    (folder / MARKDOWN).write_text("\n".join(_page(report, hashlib.sha256(data).hexdigest())) + "\n", "utf-8")


def signature_error(folder: Path) -> str:
    """Empty when the page's hash is that of the JSON file; else what is wrong."""
    try:
        signature = HASH.search((folder / MARKDOWN).read_text("utf-8", errors="replace"))
        data = (folder / JSON).read_bytes()
    except OSError as exc:
        return f"{exc.filename}: {exc.strerror}"
    if signature is None:
        return f"{folder / MARKDOWN} holds no hash"
    if signature.group(1) != hashlib.sha256(data).hexdigest():
        return f"{folder / JSON} does not have the hash in {folder / MARKDOWN}"
    return ""


def support_table(reports: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Lines for the table of tests/README.md: the results for each part and the boards, or that there are none."""
    all_reports = list(reports)
    for probe in PROBES:
        if probe.support_row:
            results = [result for report in all_reports if (result := _support_result(report, probe))]
            yield f"| {probe.support_row} | {'; '.join(results) or 'not run on hardware yet'} |"


def _support_result(report: Mapping[str, Any], probe: Probe) -> str:
    rows: list[Any] = next((part["rows"] for part in report["probes"] if part["probe"] == probe.name), [])
    rows = [row for row in rows if probe.subject_part in row["subject"]]
    measured = [row for row in rows if row["state"] == "measured"]
    failures = [row for row in rows if row["state"] == "failed"]
    if not measured and not failures:
        return ""
    result = f"{len(failures)} of {len(measured) + len(failures)} failed" if failures else "measured"
    return f"{result} on {board_name(report)}, {report['at'][:10]}"


def board_name(report: Mapping[str, Any]) -> str:
    """The board that was measured, and its L4T release."""
    rows = [row for part in report["probes"] if part["probe"] == "identity" for row in part["rows"]]
    figures = rows[0]["figures"] if rows else {}
    release = f", L4T {figures['l4t']}" if figures.get("l4t") else ""
    return f"{figures.get('board', 'an unknown board')}{release}"


def _page(report: Mapping[str, Any], digest: str) -> Iterator[str]:
    rows = [row for part in report["probes"] for row in part["rows"]]
    counts = {
        state: sum(row["state"] == state for row in rows) for state in ("measured", "failed", "not possible here")
    }
    yield f"# Hardware report: {board_name(report)}\n"
    yield f"edged {report['edged']}, {report['at']}, {report['seconds']} s. " + ", ".join(
        f"{count} {state}" for state, count in counts.items()
    )
    for part in report["probes"]:
        yield f"\n## {part['probe']}\n\n{part['question']}\n\n| | figures |\n|---|---|"
        yield from (f"| {_cell(row['subject'])} | {_cell(_row_text(row))} |" for row in part["rows"])
    yield f"\n## Signed\n\nsha256 of {JSON}: `{digest}`\n\nOperator: {report['operator']}"
    yield "\n`edged hardware-report --verify FOLDER` compares the hash with the file."


def _row_text(row: Mapping[str, Any]) -> str:
    figures = ", ".join(f"{name} {value}" for name, value in row["figures"].items() if value is not None)
    if row["state"] == "measured":
        return figures
    return f"**{row['state']}**: {row['why']}{f' ({figures})' if figures else ''}"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
