"""What a fleet wants of the devices of one group: a version, settings, and how many of the devices; signed.

The message is `{"desired": TEXT, "signature": …}`: the signature is over the bytes of the text, JSON in itself.
Upstream: `edged rollout`. Downstream: `control.fleet`, and `edged update --desired` as root, which checks it again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr, ValidationError

from edged.config.types import NAME
from edged.errors import ConfigError, NotTrusted
from edged.foreign_text import foreign_json, printable
from edged.messages.bus import MAX_REQUEST_BYTES
from edged.provisioning.signature import FLEET, sign, verify

MAX_CONFIGURATION_CHARS = 1 << 15  # of the settings in TOML
MAX_NUMBER = 1 << 53  # exact in JSON's numbers
WHAT = "desired"  # what the message is called, in errors
VERSION = r"[0-9][A-Za-z0-9.+~]{0,60}"


class Desired(BaseModel):
    """All that the fleet wants: what an earlier message wanted no longer counts."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    v: Literal[1] = 1
    group: Annotated[StrictStr, Field(pattern=f"^{NAME}$")]
    number: Annotated[StrictInt, Field(ge=1, le=MAX_NUMBER)]  # grows with each message of a group, for ever
    version: Annotated[StrictStr, Field(pattern=f"^{VERSION}$")] | None = None  # as dpkg has it; None: any
    configuration: Annotated[StrictStr, Field(max_length=MAX_CONFIGURATION_CHARS)] = ""  # TOML; empty: none
    share_percent: Annotated[float, Field(ge=0, le=100)] = 100  # of the devices; the others wait

    @property
    def content(self) -> str:
        """A digest of what is wanted of a group, without of how many: the stages of a roll-out have the same."""
        return hashlib.sha256(json.dumps([self.group, self.version, self.configuration]).encode()).hexdigest()

    def includes(self, device: str) -> bool:
        """Whether it is wanted of this device already; those of a small share are in each larger one."""
        at = int.from_bytes(hashlib.sha256(f"{self.content}/{device}".encode()).digest()[:8], "big") / 2**64
        return 100 * at < self.share_percent


def seal(desired: Desired, key: Path) -> bytes:
    """The message, signed. Raises `NotTrusted` when the key cannot sign, ConfigError for one that devices refuse."""
    text = desired.model_dump_json()
    message = json.dumps({WHAT: text, "signature": sign(text.encode(), key, FLEET)}, ensure_ascii=False).encode()
    if len(message) > MAX_REQUEST_BYTES:
        limit = MAX_REQUEST_BYTES >> 10
        raise ConfigError(
            f"{WHAT}: the message has {len(message) >> 10} kB, want at most {limit}; shorten the settings"
        )
    return message


def unseal(message: bytes, keys: Iterable[str]) -> Desired:
    """What a message wants that a key of these lines has signed. Raises `NotTrusted` for every other."""
    text = _text(message)
    verify(text[0], text[1], keys, FLEET, WHAT)
    try:
        return Desired.model_validate_json(text[0])
    except ValidationError as exc:
        fault = exc.errors(include_url=False)[0]
        where = ".".join(map(str, fault["loc"])) or "message"
        raise NotTrusted(f"{WHAT}: {printable(where)}: {fault['msg']}; sign one of this version", "desired") from None


def number_of(message: bytes) -> int:
    """The number of a message, whoever signed it; 0 for what is none."""
    try:
        number = foreign_json(_text(message)[0]).get("number")
    except (NotTrusted, AttributeError):
        return 0
    return number if isinstance(number, int) and 0 < number < MAX_NUMBER else 0


def _text(message: bytes) -> tuple[bytes, bytes]:
    """The signed text and its signature. Raises `NotTrusted`."""
    body = foreign_json(message) if len(message) <= MAX_REQUEST_BYTES else None
    parts = [body.get(name) for name in (WHAT, "signature")] if isinstance(body, dict) else []
    try:
        text, signature = (part.encode() for part in parts if isinstance(part, str))
    except ValueError:  # one is missing, or has half a character
        raise NotTrusted(
            f"{WHAT}: is no signed message of at most {MAX_REQUEST_BYTES >> 10} kB; publish with edged rollout", "form"
        ) from None
    return text, signature
