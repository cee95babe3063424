"""How every tool writes its report: Markdown tables, what was measured on, and the figures as strict JSON beside it."""

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

PACKAGES = ("onnxruntime", "opencv-python", "numpy", "rtmlib", "torch")


def write(
    folder: Path, page: Iterable[str], figures: Mapping[str, Any], *, name: str, page_name: str = "README.md"
) -> None:
    """Write `folder`/`name`.json and the page, line by line, beside it; both are made anew."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(strict(figures), indent=1) + "\n")
    (folder / page_name).write_text("\n".join(page) + "\n")


def strict(value: Any) -> Any:
    """The same value with None for what JSON has no word for: NaN and infinity."""
    if isinstance(value, Mapping):
        return {key: strict(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [strict(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def table(head: Sequence[str], rows: Iterable[Iterable[object]], *, align: str = "right") -> list[str]:
    """The lines of a Markdown table; all columns but the first are aligned to the right, or all to the left."""
    rule = ["---", *["---:" if align == "right" else "---"] * (len(head) - 1)]
    return [table_row(cells) for cells in (head, rule, *rows)]


def table_row(cells: Iterable[object]) -> str:
    """One line of a table."""
    return "| " + " | ".join(" ".join(str(cell).split()).replace("|", "\\|") for cell in cells) + " |"


def number(value: float | None, digits: int = 2, scale: float = 1) -> str:
    """A figure with so many digits behind the point; "-" where there is none."""
    return "-" if value is None or math.isnan(value) else f"{scale * value:.{digits}f}"


def significant(value: float | None) -> str:
    """A figure with three significant digits; "-" where there is none."""
    return "-" if value is None else f"{value:.3g}"


def share(value: float | None) -> str:
    """A share as whole per cent; "-" where there is none."""
    return "-" if value is None else f"{100 * value:.0f} %"


def environment(packages: Iterable[str] = PACKAGES) -> dict[str, str]:
    """The machine, the commit and the versions of what ran; "" where the machine does not say."""
    return {
        "machine": platform.platform(),
        "processor": _processor(),
        "cores": str(os.cpu_count() or ""),
        "python": platform.python_version(),
        "commit": _commit(),
        **{name: _version(name) for name in packages},
    }


def environment_line(found: Mapping[str, Any]) -> str:
    """An environment as one sentence, without what is not known."""
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
