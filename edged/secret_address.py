"""Addresses of cameras, whose user, password, path and query are secret: text shows scheme, host and port alone.

Upstream: the configuration. Downstream: whoever opens the camera calls `reveal`; everything else gets the short text.
"""

from __future__ import annotations

import re
from typing import Any

from pydantic import GetCoreSchemaHandler, SerializationInfo
from pydantic_core import CoreSchema, core_schema

MASK, REST = "***", "…"
SCHEME = "[a-z][a-z0-9+.-]*://"
HOST = r"[^\s/?#'\"]*"
SHORTENED = r"\*\*\*@(?![^\s'\"]*@)"  # by these functions, before
ADDRESS = re.compile(rf"(?is)({SCHEME})(.*@)?({HOST})(.*)")
ADDRESS_IN_TEXT = re.compile(
    rf"(?i)({SCHEME})({SHORTENED}|[^\n]*@)?({HOST}?)([/?#][^\s'\"]*?)?(?=[:,;.)]*(?:[\s'\"]|$))"
)
WITHOUT_SLASHES = re.compile(r"(?i)\b((?:rtsp|rtsps|rtmp|http|https|mqtt|mqtts|ws|wss):)(?!//|\s)[^\s'\"]+")
LOGIN = re.compile(r"[^\s'\"=/@]*:[^\s'\"/]*@(?=[^\s])")  # user:password@host


def redact(text: str) -> str:
    """The text with every address in it cut down to scheme, host and port: `rtsp://***@10.0.0.1:554/…`."""
    return _without_logins(ADDRESS_IN_TEXT.sub(_short, text))


def redact_value(value: str) -> str:
    """The same for a text that is nothing but one value, which may be an address with spaces in it."""
    found = ADDRESS.fullmatch(value)
    return _short(found) if found else _without_logins(value)


def is_address(value: str) -> bool:
    """Whether the value is the address of something on a network, with or without a password."""
    return ADDRESS.fullmatch(value) is not None


def _short(found: re.Match[str]) -> str:
    scheme, login, host, rest = found.groups()
    return f"{scheme}{f'{MASK}@' if login else ''}{host}{rest or '' if rest in (None, '', '/') else f'/{REST}'}"


def _without_logins(text: str) -> str:
    return LOGIN.sub(f"{MASK}@", WITHOUT_SLASHES.sub(rf"\1{REST}", text))


class SecretAddress:
    """A camera's `source`. Its `str` and `repr` are redacted if it is an address; a path or a device is shown whole."""

    __slots__ = ("_whole",)

    def __init__(self, whole: str) -> None:
        self._whole = whole

    def reveal(self) -> str:
        """The whole address, to open it; it must not be logged, written or published."""
        return self._whole

    def __str__(self) -> str:
        return redact_value(self._whole)

    def __repr__(self) -> str:
        return repr(str(self))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretAddress) and self._whole == other._whole

    def __hash__(self) -> int:
        return hash(self._whole)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Validated as text, at least one character; JSON gets the redacted text."""
        text = core_schema.no_info_before_validator_function(_revealed, core_schema.str_schema(min_length=1))
        dumped = core_schema.plain_serializer_function_ser_schema(_dumped, info_arg=True)
        return core_schema.no_info_after_validator_function(cls, text, serialization=dumped)


def _revealed(value: object) -> object:
    return value.reveal() if isinstance(value, SecretAddress) else value


def _dumped(value: SecretAddress, info: SerializationInfo) -> str | SecretAddress:
    return str(value) if info.mode == "json" else value
