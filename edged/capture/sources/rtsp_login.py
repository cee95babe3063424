"""The answer to a camera's challenge: digest with MD5 and SHA-2, or basic. Pure functions but for the client's nonce.

Source: RFC 7616 (digest), RFC 7617 (basic). Used by rtsp_describe.py and rtsp_relay.py.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from secrets import token_hex

HASHES = {"md5": "md5", "sha-256": "sha256", "sha-512-256": "sha512_256"}  # hashlib's names
KNOWN = "basic, and digest with MD5, SHA-256 or SHA-512-256"
PARAMETER_OR_SCHEME = re.compile(r'([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))|([\w-]+)')


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way to log in that a server offers."""

    scheme: str  # in lower case
    parameters: dict[str, str]  # names in lower case

    def __str__(self) -> str:
        """Like "digest SHA-256 auth-int"."""
        words = (self.scheme, self.parameters.get("algorithm", ""), self.parameters.get("qop", ""))
        return " ".join(word for word in words if word)

    @property
    def answerable(self) -> bool:
        if self.scheme == "basic":
            return True
        qop = re.findall(r"[\w-]+", self.parameters.get("qop", "auth").lower())
        return self.scheme == "digest" and self.hash_name in HASHES and "auth" in qop

    @property
    def hash_name(self) -> str:
        return self.parameters.get("algorithm", "MD5").lower().removesuffix("-sess")


def text_of(data: bytes) -> str:
    """What a camera sends, of any encoding; `bytes_of` gives it back unchanged."""
    return data.decode("utf-8", "surrogateescape")


def bytes_of(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def challenges(headers: Sequence[str]) -> Iterator[Challenge]:
    """Those of WWW-Authenticate headers; one header may hold several."""
    for header in headers:
        found: Challenge | None = None
        for part in PARAMETER_OR_SCHEME.finditer(header):
            name, quoted, plain, scheme = part.groups()
            if scheme is not None:
                if found is not None:
                    yield found
                found = Challenge(scheme.lower(), {})
            elif found is not None:
                value = plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
                found.parameters.setdefault(name.lower(), value)
        if found is not None:
            yield found


class Login:
    """A user's login at one server, for one connection. Its repr holds no password."""

    def __init__(self, username: str, password: str, *, basic: bool = True) -> None:
        """`basic` False: a digest or nothing, for a server that must not learn the password."""
        self._username, self._password, self._basic = username, password, basic
        self._challenge: Challenge | None = None
        self._uses = 0  # of its nonce
        self._client_nonce = ""

    def accept(self, headers: Sequence[str]) -> bool:
        """Take up the first digest of WWW-Authenticate headers that is known here, else basic; False: there is none."""
        offered = [challenge for challenge in challenges(headers) if challenge.answerable]
        digests = [challenge for challenge in offered if challenge.scheme == "digest"]
        self._challenge = next(iter(digests or (offered if self._basic else ())), None)
        self._uses, self._client_nonce = 0, token_hex(8)
        return self._challenge is not None

    @property
    def is_known(self) -> bool:
        """Whether a challenge was accepted last."""
        return self._challenge is not None

    def header(self, method: str, uri: str) -> str:
        """The value of Authorization for a request without a body; empty before a challenge was accepted."""
        if self._challenge is None:
            return ""
        if self._challenge.scheme == "basic":
            return "Basic " + b64encode(f"{self._username}:{self._password}".encode()).decode()
        return self._digest(self._challenge, method, uri)

    def _digest(self, challenge: Challenge, method: str, uri: str) -> str:
        given, name = challenge.parameters, HASHES[challenge.hash_name]

        def hashed(*parts: str) -> str:
            return hashlib.new(name, bytes_of(":".join(parts)), usedforsecurity=False).hexdigest()

        realm, nonce, client_nonce = given.get("realm", ""), given.get("nonce", ""), self._client_nonce
        user_hash = hashed(self._username, realm, self._password)
        if given.get("algorithm", "").lower().endswith("-sess"):
            user_hash = hashed(user_hash, nonce, client_nonce)
        request_hash = hashed(method, uri)
        fields = {"username": _quoted(self._username), "realm": _quoted(realm), "nonce": _quoted(nonce)}
        fields |= {"uri": _quoted(uri)} | {key: given[key] for key in ("algorithm",) if key in given}
        fields |= {key: _quoted(given[key]) for key in ("opaque",) if key in given}
        if "qop" in given:
            self._uses += 1
            count = f"{self._uses:08x}"
            response = hashed(user_hash, nonce, count, client_nonce, "auth", request_hash)
            fields |= {"qop": "auth", "nc": count, "cnonce": _quoted(client_nonce)}
        else:
            response = hashed(user_hash, nonce, request_hash)
        fields["response"] = _quoted(response)
        return "Digest " + ", ".join(f"{key}={value}" for key, value in fields.items())


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
