"""What the README repeats is what is generated."""

from __future__ import annotations

import re
from pathlib import Path

from edged.messages.documents import topic_table

README = Path(__file__).parents[2] / "README.md"


def test_the_readme_lists_the_topics_of_the_contract() -> None:
    found = re.search(r"<!-- topics -->\n(.*)\n<!-- end of topics -->", README.read_text("utf-8"), re.DOTALL)
    assert found is not None
    assert found.group(1) == topic_table()


def test_every_file_that_the_readme_links_is_there() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README.read_text("utf-8"))
    assert [link for link in links if not (README.parent / link).exists()] == []
