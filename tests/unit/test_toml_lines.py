import random
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from edged.config.toml_lines import Key, key_lines

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HARD = '''\
# mqtt.host = "comment" [not.a.header]
title = "has # no = comment [x]" # but = this [is] one

[a.b]  # [c]
"quoted key" = 1
'literal.key' = 2
"\\u0061ccent" = 3
dotted.sub."x.y" = 4
many = """
[fake]
key = 5
quote \\""" still inside
"""
ends_in_quotes = """x"""""
raw = \'\'\'
[fake2]
key = \'\' 6
\'\'\'
list = [ # [
    "a]", # ]
    [1, 2],

    { deep = [1,
              2] },
]
inline = { x = 1, y.z = "}", w = { v = 'a,b' } }
date = 1979-05-27 07:32:00
float = -1.5e+10

[[table.array]]
name = "first"
[table.array.sub]
k = 1
[[table.array]]
[table.array.sub]
k = 2
[[table.array.inner]]
z = [ ]
[a]
last = true'''


def flat(values: Any, key: Key = ()) -> Iterator[Key]:
    """Every key that tomllib knows, list elements too."""
    if key:
        yield key
    pairs = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    for part, value in pairs:
        yield from flat(value, (*key, part))


def test_scanner_finds_the_keys_of_tomllib() -> None:
    assert set(key_lines(HARD)) == set(flat(tomllib.loads(HARD)))


@pytest.mark.parametrize(
    ("key", "starts_with"),
    [
        (("title",), "title"),
        (("a", "b"), "[a.b]"),
        (("a",), "[a]"),
        (("a", "b", "quoted key"), '"quoted key"'),
        (("a", "b", "literal.key"), "'literal.key'"),
        (("a", "b", "accent"), '"\\u0061ccent"'),
        (("a", "b", "dotted"), "dotted.sub"),
        (("a", "b", "dotted", "sub", "x.y"), "dotted.sub"),
        (("a", "b", "ends_in_quotes"), "ends_in_quotes"),
        (("a", "b", "raw"), "raw"),
        (("a", "b", "list"), "list"),
        (("a", "b", "list", 0), '    "a]"'),
        (("a", "b", "list", 1, 1), "    [1, 2]"),
        (("a", "b", "list", 2, "deep"), "    { deep"),
        (("a", "b", "list", 2, "deep", 1), "              2]"),
        (("a", "b", "inline", "w", "v"), "inline"),
        (("a", "b", "date"), "date"),
        (("table",), "[[table.array]]"),
        (("table", "array", 0, "name"), 'name = "first"'),
        (("table", "array", 0, "sub", "k"), "k = 1"),
        (("table", "array", 1, "sub", "k"), "k = 2"),
        (("table", "array", 1, "inner", 0, "z"), "z = [ ]"),
        (("a", "last"), "last"),
    ],
)
def test_key_has_the_line_a_reader_expects(key: Key, starts_with: str) -> None:
    assert HARD.splitlines()[key_lines(HARD)[key] - 1].startswith(starts_with)


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("", {}),
        ("# only = a comment", {}),
        ("a = 1", {("a",): 1}),
        ("\n\n  a=1", {("a",): 3}),
        ("a = 1\r\nb = '''\r\n'''\r\nc = 2\r\n", {("a",): 1, ("b",): 2, ("c",): 4}),
        ("[a]\n[b]", {("a",): 1, ("b",): 2}),
        ("a . b = 1", {("a",): 1, ("a", "b"): 1}),
        ("a = []\nb = {}", {("a",): 1, ("b",): 2}),
        ("a = [1,\n2,\n]", {("a",): 1, ("a", 0): 1, ("a", 1): 2}),
        ('"" = 1', {("",): 1}),
        ("a = ''''x'''\nb = 1", {("a",): 1, ("b",): 2}),
        ('a = "\\\\"\nb = "\\""\nc = 1', {("a",): 1, ("b",): 2, ("c",): 3}),
    ],
)
def test_short_text_gives_these_lines(text: str, want: dict[Key, int]) -> None:
    assert key_lines(text) == want


def _value(dice: random.Random, depth: int = 0) -> str:
    simple = ["1", "-2.5", "true", '"a#[{=]}"', "'x\"y'", '"""\n=[\n"""', "'''\n#\n'''", "2001-01-01", "inf"]
    if depth > 2 or dice.random() < 0.6:
        return dice.choice(simple)
    if dice.random() < 0.5:
        gap = dice.choice(["", " ", "\n", " # ]\n"])
        return "[" + gap + f",{gap}".join(_value(dice, depth + 1) for _ in range(dice.randrange(4))) + gap + "]"
    flat_values = [_value(dice, 3).replace("\n", " ") for _ in range(dice.randrange(3))]
    return "{" + ", ".join(f"k{i} = {v}" for i, v in enumerate(flat_values)) + "}"


@pytest.mark.parametrize("seed", range(40))
def test_every_key_of_a_random_file_is_found_on_its_line(seed: int) -> None:
    dice, text, want = random.Random(seed), "", {}
    for number in range(30):
        text += dice.choice(["", "\n", "# key0 = [\n", "  "])
        table = f"t{number}"
        if dice.random() < 0.2:
            text += f"[{table}]\n"
        key = dice.choice([f"key{number}", f'"key{number}"', f"'key{number}'"])
        want[f"key{number}"] = text.count("\n") + 1
        text += f"{key} = {_value(dice)}{dice.choice(['', ' # = [ {', '  '])}\n"
    found = key_lines(text)
    assert set(found) == set(flat(tomllib.loads(text)))
    assert {key[-1]: line for key, line in found.items() if str(key[-1]).startswith("key")} == want
