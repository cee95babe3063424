"""Who may see the page: a token, asked for once a day, limits for who guesses it, and names that the page is called by.

Pure but for the clock it is given. Source: OWASP cheat sheets on session management, CSRF and DNS rebinding.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections import OrderedDict
from collections.abc import Collection, Mapping
from ipaddress import IPv6Address, ip_address

SESSION_S = 12 * 3600.0  # a working day, without a new token
FREE_TRIES = 5  # wrong tokens of one client without a wait
MAX_WAIT_S = 300.0  # longest wait after a wrong token; each is twice as long as the one before
MAX_CLIENTS = 256  # whose wrong tokens are remembered
MAX_TOKEN_CHARS = 256  # of what is compared at all
HOST = re.compile(r"(?P<name>[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?")


class BrowserSessions:
    """Signed cookies: they outlive a restart of the daemon, and end with a new token."""

    def __init__(self, token: str) -> None:
        self._digest = hashlib.sha256(token.encode()).digest()
        self._key = hmac.digest(token.encode(), b"edged panel session", "sha256")

    def is_token(self, given: str) -> bool:
        """Whether this is the token; takes as long for every wrong one."""
        return hmac.compare_digest(
            hashlib.sha256(given[:MAX_TOKEN_CHARS].encode(errors="replace")).digest(), self._digest
        )

    def new_cookie(self, now_s: float) -> str:
        """The value of a cookie that is valid from now on; `now_s` is UTC."""
        text = f"{round(now_s + SESSION_S)}.{secrets.token_hex(16)}"
        return f"{text}.{self._signature(text)}"

    def is_valid(self, cookie: str, now_s: float) -> bool:
        text, _, signature = cookie.rpartition(".")
        good = hmac.compare_digest(signature.encode(), self._signature(text).encode())
        end = text.partition(".")[0]
        return good and end.isascii() and end.isdigit() and now_s < float(end) <= now_s + SESSION_S + 1

    def _signature(self, text: str) -> str:
        return hmac.new(self._key, text.encode(), "sha256").hexdigest()


class TryLimit:
    """Wrong tokens per client: after some, each takes twice the wait of the one before. Thread: one."""

    def __init__(self) -> None:
        self._wrong: OrderedDict[str, tuple[int, float]] = OrderedDict()  # by client: how many, when the next may be

    def wait_s(self, address: str, now_s: float) -> float:
        """How long this client must wait before its next try; 0: not at all. `now_s` is monotonic."""
        return max(0.0, self._wrong.get(_client(address), (0, 0.0))[1] - now_s)

    def failed(self, address: str, now_s: float) -> None:
        client = _client(address)
        count = self._wrong.pop(client, (0, 0.0))[0] + 1
        wait_s = min(MAX_WAIT_S, 2.0 ** min(count - FREE_TRIES, 16)) if count >= FREE_TRIES else 0.0
        self._wrong[client] = (count, now_s + wait_s)
        while len(self._wrong) > MAX_CLIENTS:
            self._wrong.popitem(last=False)

    def passed(self, address: str) -> None:
        self._wrong.pop(_client(address), None)


def _client(address: str) -> str:
    """The address; of IPv6 the network of 64 bits, any address of which one machine may take."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    return str(ip) if not isinstance(ip, IPv6Address) else str(IPv6Address(int(ip) >> 64 << 64))


def is_own_host(host: str, names: Collection[str]) -> bool:
    """Whether a Host header is an address, or one of `names`: anybody may rebind another name to this page."""
    if (found := HOST.fullmatch(host)) is None:
        return False
    name = found["name"].lower()
    if name in names:
        return True
    try:
        ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def is_same_origin(headers: Mapping[str, str], scheme: str) -> bool:
    """Whether a request that changes something comes from the page itself: by Origin, and by what the browser says."""
    return headers.get("origin") == f"{scheme}://{headers.get('host', '')}" and headers.get("sec-fetch-site") in (
        None,
        "same-origin",
    )
