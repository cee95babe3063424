"""The line of every key of a TOML text; tomllib gives values only. Upstream: layers. Downstream: error messages."""

from __future__ import annotations

import re
import sys
from bisect import bisect

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Key = tuple[str | int, ...]  # ("cameras", "stall1", "masks", 0)

GAP = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
PART = re.compile(r"""[ \t]*(?:"(?:\\.|[^"\\])*"|'[^']*'|[A-Za-z0-9_-]+)[ \t]*""")
STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"""(?:"{0,2})'  # up to two quotes may come before the closing three
    r"|'''.*?'''(?:'{0,2})"
    r'|"(?:\\.|[^"\\])*"'
    r"|'[^']*'",
    re.DOTALL,
)
SCALAR = re.compile(r"[^,\]}#\n]+")  # number, date, true


def key_lines(text: str) -> dict[Key, int]:
    """The line of every key, header and array element of a valid TOML text; the first line is 1.

    An implied table, as `a` in `[a.b]`, has the line where it is first mentioned.
    """
    text = text.replace("\r\n", "\n")
    scan = _Scanner(text)
    scan.document()
    ends = [newline.start() for newline in re.finditer("\n", text)]
    return {key: 1 + bisect(ends, at) for key, at in scan.found.items()}


class _Scanner:
    """One pass over a text that tomllib has accepted, so without error handling."""

    def __init__(self, text: str) -> None:
        self.found: dict[Key, int] = {}  # offsets in the text
        self._text, self._pos = text, 0
        self._elements: dict[Key, int] = {}  # of each array of tables, so far

    def document(self) -> None:
        table: Key = ()
        self._skip(GAP)
        while self._pos < len(self._text):
            if self._looking_at("["):
                table = self._header()
            else:
                self._pair(table)
            self._skip(GAP)

    def _header(self) -> Key:
        start, width = self._pos, 2 if self._looking_at("[[") else 1
        self._pos += width
        key = self._header_key(self._key())
        self._pos += width
        self._record(key, start)
        if width == 1:
            return key
        index = self._elements.get(key, 0)
        self._elements[key] = index + 1
        self._record((*key, index), start)
        return (*key, index)

    def _header_key(self, parts: tuple[str, ...]) -> Key:
        """The header's key, through the latest element of every array of tables."""
        key: Key = ()
        for part in parts[:-1]:
            key = (*key, part)
            if key in self._elements:
                key = (*key, self._elements[key] - 1)
        return (*key, parts[-1])

    def _pair(self, table: Key) -> None:
        start = self._pos
        key = (*table, *self._key())
        self._record(key, start)
        self._pos += len("=")
        self._skip(GAP)
        self._value(key)

    def _value(self, key: Key) -> None:
        if self._looking_at("["):
            self._array(key)
        elif self._looking_at("{"):
            self._inline_table(key)
        else:
            self._skip(STRING if self._looking_at(('"', "'")) else SCALAR)

    def _array(self, key: Key) -> None:
        index = 0
        self._open()
        while not self._closes("]"):
            self._record((*key, index), self._pos)
            self._value((*key, index))
            index += 1

    def _inline_table(self, key: Key) -> None:
        self._open()
        while not self._closes("}"):
            self._pair(key)

    def _open(self) -> None:
        self._pos += 1
        self._skip(GAP)

    def _closes(self, bracket: str) -> bool:
        """Step over the comma between elements or over the closing bracket; True: it was the bracket."""
        self._skip(GAP)
        if self._looking_at(","):
            self._open()
        if closed := self._looking_at(bracket):
            self._pos += 1
        return closed

    def _key(self) -> tuple[str, ...]:
        parts = [self._part()]
        while self._looking_at("."):
            self._pos += 1
            parts.append(self._part())
        return tuple(parts)

    def _part(self) -> str:
        word = self._skip(PART).strip(" \t")
        return next(iter(tomllib.loads(f"{word} = 0"))) if word[0] in "\"'" else word

    def _record(self, key: Key, at: int) -> None:
        self.found[key] = at
        for end in range(1, len(key)):
            self.found.setdefault(key[:end], at)

    def _looking_at(self, text: str | tuple[str, ...]) -> bool:
        return self._text.startswith(text, self._pos)

    def _skip(self, pattern: re.Pattern[str]) -> str:
        """Step over a match at this position and return its text."""
        found = pattern.match(self._text, self._pos)
        text = found[0] if found else ""
        self._pos += len(text)
        return text
