"""Prints the sizes of files and functions, and fails if the product exceeds the limits.

`python -m tools.size`: files <= 400 lines, functions <= 40, the median function <= 8. Part of `make lint`.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]
FOLDERS = ("edged", "engines", "tools", "tests")
PRODUCT = ("edged", "engines")  # the limits apply to these folders; tools and tests are only printed
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 40
MAX_MEDIAN_LINES = 8


@dataclass(frozen=True, slots=True)
class Size:
    """One file or function, and how many lines it has."""

    name: str
    lines: int


def files(folder: str) -> list[Size]:
    """Return every Python file below `folder`, with its number of lines."""
    paths = sorted((ROOT / folder).rglob("*.py"))
    return [Size(str(path.relative_to(ROOT)), len(path.read_text().splitlines())) for path in paths]


def functions(folder: str) -> Iterator[Size]:
    """Yield every function below `folder` with its number of lines, docstring included."""
    for path in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield Size(
                    f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", (node.end_lineno or 0) - node.lineno + 1
                )


def main() -> int:
    """Print the table; returns 1, with a list on stderr, if the product exceeds a limit."""
    over: list[str] = []
    print(f"{'':8} {'files':>6} {'lines':>7} {'longest':>8} {'functions':>10} {'median':>7} {'longest':>8}")
    for folder in FOLDERS:
        by_file, by_function = files(folder), list(functions(folder))
        middle = median(size.lines for size in by_function)
        lines, longest = sum(size.lines for size in by_file), max(size.lines for size in by_file)
        print(f"{folder:8} {len(by_file):6} {lines:7} {longest:8} {len(by_function):10} {middle:7g}", end="")
        print(f" {max(size.lines for size in by_function):8}")
        if folder in PRODUCT:
            over += [
                f"{one.name}: {one.lines} lines; at most {MAX_FILE_LINES}"
                for one in by_file
                if one.lines > MAX_FILE_LINES
            ]
            over += [
                f"{one.name}: {one.lines} lines; at most {MAX_FUNCTION_LINES}"
                for one in by_function
                if one.lines > MAX_FUNCTION_LINES
            ]
            if middle > MAX_MEDIAN_LINES:
                over.append(f"{folder}: the median function has {middle:g} lines; at most {MAX_MEDIAN_LINES}")
    print(*over, sep="\n", end="\n" if over else "", file=sys.stderr)
    return int(bool(over))


if __name__ == "__main__":
    sys.exit(main())
