"""The sources of the configuration, each one layer: its values, and the place of every key.

Files, then environment, then credentials; a later layer overrides. Downstream: `load`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edged.config import characters
from edged.config.schema import node_at
from edged.config.toml_lines import Key, key_lines
from edged.config.toml_text import dotted
from edged.errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ENV_PREFIX, ENV_SEPARATOR = "EDGED_", "__"
CREDENTIALS_VARIABLE = "CREDENTIALS_DIRECTORY"
MAX_BYTES = 1 << 20  # a configuration has a few kB; a device file like /dev/zero has no end
READ_ERRORS = {
    FileNotFoundError: "no such file; check the path",
    IsADirectoryError: "is a directory; name a file in it",
    PermissionError: "may not be read by this user; give it read access",
}
SYNTAX_HINTS = {
    "Cannot overwrite a value": "this key is given twice; remove one of them",
    "Cannot declare": "this table is given twice; put its keys under one header",
    "Cannot mutate immutable": "an inline table is closed with its }; put the key inside",
}
_ESCAPE = r"""a \ between " begins an escape, as \n; write this text between single quotes"""
PLACE_HINTS = {
    "Invalid value": 'text goes into quotes, "like this"; true and false are written without',
    "Expected newline or end of document": 'the value ended before it; text goes into quotes, "like this", and text '
    'with a " in it into single ones',
    "Invalid hex value": _ESCAPE,
    "Unescaped '\\' in a string": _ESCAPE,
}


@dataclass(frozen=True, slots=True)
class Layer:
    """One source. `lines`: the line of every key it gives, tables included; 0 in a source without lines."""

    name: str  # "configs/barn.toml", "environment", "credential"
    values: dict[str, Any] = field(repr=False)  # including secrets
    lines: dict[Key, int]
    key_name: Callable[[Key], str] = dotted  # the key's name in this source
    hidden: bool = False  # its values are never shown

    def value(self, key: Key) -> Any:
        """What it gives for the key; None: nothing."""
        found: Any = self.values
        for part in key:
            found = found.get(part) if isinstance(found, dict) else None
        return found

    def where(self, key: Key) -> str:
        """`configs/barn.toml:14`; for an absent key, the line of the table above it."""
        line = self.line(key)
        return f"{self.name}:{line}" if line else self.name

    def origin(self, key: Key) -> str:
        """Where the key is given: file and line, or the source and the key's name in it."""
        return self.where(key) if self.line(key) else f"{self.name} {self.key_name(key)}"

    def line(self, key: Key) -> int:
        return next((self.lines[key[:end]] for end in range(len(key), 0, -1) if key[:end] in self.lines), 0)


def site_files(etc: Path, more: Iterable[Path] = ()) -> list[Path]:
    """edged.toml, then conf.d/*.toml by name, those that exist, and `more`; hidden files of editors are skipped.

    Raises `ConfigError` where that cannot be seen.
    """
    return [*_list_files(etc, "edged.toml"), *sorted({*_list_files(etc / "conf.d", "*.toml"), *more})]


def _list_files(directory: Path, pattern: str) -> list[Path]:
    try:
        found = sorted(directory.iterdir())
    except FileNotFoundError:
        return []
    except OSError as exc:
        raise ConfigError(_read_error(directory, exc)) from exc
    return [
        path for path in found if path.match(pattern) and not path.name.startswith(".") and not _leads_nowhere(path)
    ]


def _leads_nowhere(path: Path) -> bool:
    """Whether it is a link to a file that is not there yet, as that of the panel's drawings."""
    return path.is_symlink() and not path.exists()


def _read_error(path: Path, exc: OSError) -> str:
    return f"{path}: {READ_ERRORS.get(type(exc), f'{exc.strerror}; check the path')}"


def file_layer(path: Path, text: str | None = None) -> Layer:
    """The layer of a file, or of a `text` in its place. Raises `ConfigError`: `configs/barn.toml:3: …`."""
    return bytes_layer(str(path), read_bytes(path) if text is None else text.encode())


def bytes_layer(name: str, data: bytes) -> Layer:
    """The layer of a file that was read already. Raises `ConfigError`, as `file_layer`."""
    text = characters.decode(data, name)
    try:
        return Layer(name, tomllib.loads(text), key_lines(text))
    except RecursionError:
        raise ConfigError(f"{name}: lists or tables lie too deep in each other; flatten them") from None
    except ValueError as exc:  # TOMLDecodeError, and numbers beyond Python's longest
        raise ConfigError(_syntax_error(name, text, str(exc))) from exc


def read_bytes(path: Path) -> bytes:
    """The whole file. Raises `ConfigError` for one that is unreadable or larger than any configuration."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as exc:
        raise ConfigError(_read_error(path, exc)) from exc
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{path}: larger than {MAX_BYTES >> 20} MiB; name a configuration file")
    return data


def _syntax_error(path: str, text: str, message: str) -> str:
    """tomllib's message after its line; it never quotes the text, which may contain a password.

    A character that an editor hides, or a typographic quote, is named instead.
    """
    place = re.search(r"\s*\(at (?:line (\d+), column (\d+)|end of document)\)$", message)
    if not place:
        return f"{path}: not TOML: {message}; correct it"
    message = message[: place.start()]
    number = int(place[1] or text.rstrip().count("\n") + 1)
    line, column = text.split("\n")[number - 1].removesuffix("\r"), int(place[2] or 0)
    hint = _hint(SYNTAX_HINTS, message) or characters.misprint(line, column) or _other_format(line)
    if hint is None:
        at = f" at column {column}" if column else ""
        cure = _hint(PLACE_HINTS, message) if line[column - 1 : column] else None
        hint = f"not TOML{at}: {cure or f'{message}; correct it'}"
    return f"{path}:{number}: {hint}"


def _other_format(line: str) -> str | None:
    """What a line is that belongs into another kind of file, and what to do; None: nothing is known."""
    if re.match(r"\s*(-\s+)?[\w-]+:(\s|$)", line):
        kind = "YAML"
    elif line.lstrip().startswith("{"):
        kind = "JSON"
    else:
        return None
    return f'this is {kind}, and the file is read as TOML: write a table as [cameras.NAME], a key as source = "…"'


def _hint(hints: Mapping[str, str], message: str) -> str | None:
    return next((hint for start, hint in hints.items() if message.startswith(start)), None)


def environment_layer(environment: Mapping[str, str], cameras: set[str]) -> Layer:
    """The layer of the EDGED_… variables: EDGED_MQTT__PORT is mqtt.port.

    Text needs no quotes; everything else is written as in TOML. Variable names cannot contain a `-`: unless there is a
    camera stall_1, EDGED_CAMERAS__STALL_1__… means stall-1.
    """
    variables = sorted(variable for variable in environment if variable.startswith(ENV_PREFIX))
    names: dict[Key, str] = {_key_of_variable(variable, cameras): variable for variable in variables}
    values: dict[str, Any] = {}
    for key, variable in names.items():
        _set(values, key, _parse_value(key, environment[variable]))
    return Layer(
        "environment", values, _with_parents(names), lambda key: _given_name(key, names) or variable_of_key(key)
    )


def _key_of_variable(variable: str, cameras: set[str]) -> Key:
    key = variable.removeprefix(ENV_PREFIX).lower().split(ENV_SEPARATOR)
    if key[0] == "cameras" and len(key) > 1 and key[1] not in cameras:
        dashed = [name for name in sorted(cameras) if name.replace("-", "_") == key[1]]
        key[1:2] = dashed[:1] or [key[1]]
    return tuple(key)


def variable_of_key(key: Key) -> str:
    """The variable for this key."""
    return ENV_PREFIX + ENV_SEPARATOR.join(str(part) for part in key).upper().replace("-", "_")


def _given_name(key: Key, names: Mapping[Key, str]) -> str | None:
    """The name under which the key, or one below it, was given."""
    for end in range(len(key), 0, -1):
        if key[:end] in names:
            rest = dotted(key[end:])
            return names[key[:end]] + (f".{rest}" if rest and not rest.startswith("[") else rest)
    return next((name for other, name in names.items() if other[: len(key)] == key), None)


def options_layer(options: Mapping[Key, str]) -> Layer:
    """The command line as a source of keys, each with the name of its option; it has no values of its own."""
    return Layer("command line", {}, _with_parents(options), lambda key: _given_name(key, options) or dotted(key))


def credential_layer(directory: Path) -> Layer:
    """The layer of files named like their key, as `mqtt.password`; for a key that is a path, the file is the value.

    Raises `ConfigError`, which never shows their content.
    """
    try:
        files = sorted(path for path in directory.iterdir() if path.is_file() and not path.name.startswith("."))
    except OSError as exc:
        raise ConfigError(
            f"environment {CREDENTIALS_VARIABLE} = {directory}: {exc.strerror}; unset it or correct it"
        ) from exc
    names: dict[Key, str] = {tuple(path.name.split(".")): str(path) for path in files}
    values: dict[str, Any] = {}
    for key, name in names.items():
        here = node_at(key)
        _set(values, key, name if here and here.is_path else _parse_value(key, _read_secret(Path(name))))
    missing = str(directory)  # for a key without a file
    return Layer(
        "credential", values, _with_parents(names), lambda key: _given_name(key, names) or missing, hidden=True
    )


def _read_secret(path: Path) -> str:
    """The one line of the file."""
    try:
        return characters.decode_secret(path.read_bytes(), f"credential {path}")
    except OSError as exc:
        raise ConfigError(f"credential {path}: {exc.strerror}; give this user read access") from exc


def _parse_value(key: Key, text: str) -> Any:
    """The text if the key takes text, else the TOML value; invalid TOML stays text and fails the validation later."""
    here = node_at(key)
    if here is None or here.kind == "string":
        return text
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    return parsed["value"] if len(parsed) == 1 else text


def _set(values: dict[str, Any], key: Key, value: Any) -> None:
    """Set the value and create the tables above it; another value in their place stays, and fails the validation."""
    table: Any = values
    for part in key[:-1]:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            return
    table[key[-1]] = value


def _with_parents(keys: Mapping[Key, Any]) -> dict[Key, int]:
    return {key[:end]: 0 for key in keys for end in range(1, len(key) + 1)}
