"""Text as editors save it: files are decoded here, and characters that an editor hides are named by their code.

Downstream: every file that a person writes, and the values in it.
"""

from __future__ import annotations

import re
import unicodedata

from edged.errors import ConfigError

TYPOGRAPHIC = {**dict.fromkeys("“”„‟″«»＂", '"'), **dict.fromkeys("‘’‚‛′‹›´`＇", "'")}  # what to type instead
DOCUMENTS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"{\\rtf", b"%PDF")  # how those of word processors begin


def decode(data: bytes, place: str) -> str:
    """The text of a UTF-8 file, without its byte order mark.

    Raises `ConfigError`: `place:3: what is wrong; what to do`, without a quotation.
    """
    if data.startswith(DOCUMENTS):
        raise ConfigError(f"{place}:1: is a document of a word processor; save it as plain text, in UTF-8")
    if wide := _wide_encoding(data):
        raise ConfigError(f"{place}:1: is a {wide} text; save it as UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        raise ConfigError(f"{place}:{line}: byte 0x{data[exc.start]:02x} is not UTF-8; save the file as UTF-8") from exc
    if "\n" not in text and "\r" in text:
        raise ConfigError(f"{place}:1: its lines end with U+000D (carriage return) alone; save it with line ends LF")
    return text


def decode_secret(data: bytes, place: str) -> str:
    """The one line of a secret's file, without the end of the line. Raises `ConfigError`, which never shows it."""
    if wide := _wide_encoding(data):
        raise ConfigError(f"{place}: is a {wide} text; save it as UTF-8")
    try:
        text = data.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError:
        raise ConfigError(f"{place}: not UTF-8; save it as UTF-8 text") from None
    if re.search("[\r\n]", text):
        raise ConfigError(f"{place}: has more than one line; write the secret alone, on one line")
    if problem := invisible(text, controls=True):
        raise ConfigError(f"{place}: {problem}")
    return text


def invisible(text: str, *, controls: bool = False) -> str | None:
    """What is wrong with the first character that an editor does not show, and what to do; None: there is none."""
    hidden = {"Cf", "Zl", "Zp", *(["Cc"] if controls else [])}
    char = next((char for char in text if unicodedata.category(char) in hidden), None)
    return None if char is None else f"has {_name(char)}, which is invisible; delete it"


def misprint(line: str, column: int) -> str | None:
    """What is wrong where a parser stopped: at the column (from 1), or else in the line; None: nothing is seen."""
    at = line[column - 1 : column]
    for char in (at, *line) if at else line:
        if char in TYPOGRAPHIC and not char.isascii():
            return f"{_name(char, shown=True)} is a typographic quote; type a straight one: {TYPOGRAPHIC[char]}"
        if char != "\t" and (unicodedata.category(char) in ("Cc", "Cf") or (char.isspace() and char != " ")):
            return f"{_name(char)} is invisible; delete it, and type a space there if one is needed"
    if at == "," and re.match("[0-9],[0-9]", line[column - 2 : column + 1]):
        return "a number is written with a point in place of the comma"
    if at and not at.isascii():
        return f"{_name(at, shown=True)} cannot stand here; type it anew"
    return None


def _wide_encoding(data: bytes) -> str:
    """UTF-16 or UTF-32, with its byte order mark, or without: two or three of four bytes of plain text are zero then.

    Empty: neither.
    """
    start = data[:256]
    zeros = start.count(0) / max(len(start), 1)
    if start.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")) or (len(start) > 3 and zeros > 5 / 8):
        return "UTF-32"
    return "UTF-16" if start.startswith((b"\xff\xfe", b"\xfe\xff")) or (len(start) > 1 and zeros >= 1 / 4) else ""


def _name(char: str, *, shown: bool = False) -> str:
    """`U+201C “`, or `U+200B (zero width space)`."""
    name = unicodedata.name(char, "").lower() or "control character"
    return f"U+{ord(char):04X} {char}" if shown else f"U+{ord(char):04X} ({name})"
