"""Writes the reports of all tools: a Markdown page, the environment, and the figures as strict JSON."""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("onnxruntime", "openvino", "opencv-python", "opencv-python-headless", "av", "numpy", "rtmlib", "torch")


def write(
    folder: Path, page: Iterable[str], figures: Mapping[str, Any], *, name: str, page_name: str = "README.md"
) -> None:
    """Write `folder`/`name`.json and the page, from its lines; both are replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(strict(figures), indent=1) + "\n")
    (folder / page_name).write_text("\n".join(page) + "\n")


def strict(value: Any) -> Any:
    """Return the value with None for NaN and infinity, which JSON does not have."""
    if isinstance(value, Mapping):
        return {key: strict(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [strict(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def table(head: Sequence[str], rows: Iterable[Iterable[object]], *, align: str = "right") -> list[str]:
    """Return the lines of a Markdown table; all columns but the first are aligned to the right, or all to the left."""
    rule = ["---", *["---:" if align == "right" else "---"] * (len(head) - 1)]
    return [table_row(cells) for cells in (head, rule, *rows)]


def table_row(cells: Iterable[object]) -> str:
    """Return one line of a Markdown table."""
    return "| " + " | ".join(" ".join(str(cell).split()).replace("|", "\\|") for cell in cells) + " |"


def number(value: float | None, digits: int = 2, scale: float = 1) -> str:
    """Return a figure with `digits` decimals; "-" for None or NaN."""
    return "-" if value is None or math.isnan(value) else f"{scale * value:.{digits}f}"


def significant(value: float | None) -> str:
    """Return a figure with three significant digits; "-" for None."""
    return "-" if value is None else f"{value:.3g}"


def share(value: float | None) -> str:
    """Return a share in whole per cent; "-" for None."""
    return "-" if value is None else f"{100 * value:.0f} %"


def environment(packages: Iterable[str] = PACKAGES) -> dict[str, str]:
    """Return machine, commit and package versions; "" if unknown."""
    return {
        "machine": platform.platform(),
        "processor": _processor(),
        "cores": str(os.cpu_count() or ""),
        "python": platform.python_version(),
        "commit": _commit(),
        **{name: _version(name) for name in packages},
    }


def environment_line(found: Mapping[str, Any]) -> str:
    """Return an environment as one sentence, without unknown values."""
    return ", ".join(f"{name} {value}" for name, value in found.items() if value not in ("", None)) + "."


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parent)
    except FileNotFoundError:
        return ""
    return done.stdout.strip()
