"""The READMEs agree with the code, and every linked file exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edged.runtime.threads import TABLE

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob(".github/*.md"), *ROOT.glob("[a-z]*/**/*.md")])


def between(page: str, mark: str) -> str:
    """The text between `<!-- mark -->` and `<!-- end of mark -->`."""
    found = re.search(rf"<!-- {mark} -->\n(.*)\n<!-- end of {mark} -->", (ROOT / page).read_text("utf-8"), re.DOTALL)
    assert found is not None, f"{page} has no {mark} between its marks"
    return found.group(1)


def thread_table() -> str:
    """The table of threads in Markdown."""
    rows = [
        ("thread", "what it does", "period", "longest round", "when it fails"),
        ("---",) * 5,
        *((row.name, row.step, _seconds(row.period_s), _seconds(row.limit_s), row.on_death) for row in TABLE),
    ]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:g} s"


def test_architecture_lists_every_thread() -> None:
    assert between("edged/README.md", "threads") == thread_table()


def test_readme_has_at_most_150_lines() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 150


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_linked_file_exists(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text("utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []
