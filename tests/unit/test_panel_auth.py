"""Tokens, sessions, limits and names of the technician's page."""

from __future__ import annotations

import pytest

from edged.panel.auth import (
    FREE_TRIES,
    MAX_CLIENTS,
    MAX_WAIT_S,
    SESSION_S,
    BrowserSessions,
    TryLimit,
    is_own_host,
    is_same_origin,
)

TOKEN = "a-token-of-the-tests"
NAMES = {"localhost", "barn-east"}


@pytest.mark.parametrize(
    ("given", "right"),
    [(TOKEN, True), ("", False), (TOKEN[:-1], False), (TOKEN + "x", False), ("\ud800", False), ("x" * 100_000, False)],
)
def test_only_the_token_is_the_token(given: str, right: bool) -> None:
    assert BrowserSessions(TOKEN).is_token(given) is right


def test_session_outlives_a_restart_and_ends_in_time() -> None:
    cookie = BrowserSessions(TOKEN).new_cookie(1000.0)
    assert BrowserSessions(TOKEN).is_valid(cookie, 1000.0)
    assert BrowserSessions(TOKEN).is_valid(cookie, 999.0 + SESSION_S)
    assert not BrowserSessions(TOKEN).is_valid(cookie, 1001.0 + SESSION_S)
    assert not BrowserSessions("another-token-of-the-tests").is_valid(cookie, 1000.0)


@pytest.mark.parametrize("change", [lambda c: c[:-1] + "z", lambda c: "9" + c, lambda c: "", lambda c: "é" + c])
def test_changed_cookie_is_no_session(change: object) -> None:
    assert callable(change)
    assert not BrowserSessions(TOKEN).is_valid(change(BrowserSessions(TOKEN).new_cookie(1000.0)), 1000.0)


def test_wrong_tokens_take_longer_and_longer_until_the_right_one() -> None:
    limit, waits = TryLimit(), list[float]()
    for _ in range(FREE_TRIES + 12):
        limit.failed("10.0.0.1", 0.0)
        waits.append(limit.wait_s("10.0.0.1", 0.0))
    assert waits[: FREE_TRIES - 1] == [0.0] * (FREE_TRIES - 1)
    assert waits[FREE_TRIES - 1 : FREE_TRIES + 2] == [1.0, 2.0, 4.0]
    assert waits[-1] == MAX_WAIT_S
    assert limit.wait_s("10.0.0.2", 0.0) == 0.0
    limit.passed("10.0.0.1")
    assert limit.wait_s("10.0.0.1", 0.0) == 0.0


def test_addresses_of_one_ipv6_network_are_one_client() -> None:
    limit = TryLimit()
    for number in range(FREE_TRIES):
        limit.failed(f"2001:db8::{number:x}", 0.0)
    assert limit.wait_s("2001:db8::ffff", 0.0) > 0
    assert limit.wait_s("2001:db8:0:1::1", 0.0) == 0.0


def test_remembered_clients_are_bounded() -> None:
    limit = TryLimit()
    for number in range(2 * MAX_CLIENTS):
        for _ in range(FREE_TRIES):
            limit.failed(f"10.1.{number // 256}.{number % 256}", 0.0)
    assert limit.wait_s("10.1.0.0", 0.0) == 0.0
    assert limit.wait_s("10.1.1.255", 0.0) > 0


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("192.168.1.7:8443", True),
        ("[fe80::1]:8443", True),
        ("localhost", True),
        ("BARN-EAST:8443", True),
        ("evil.example", False),
        ("", False),
        ("127.0.0.1/static/x?", False),
        ("127.0.0.1@evil.example", False),
        ("evil.example#127.0.0.1", False),
        ("[::1", False),
    ],
)
def test_host_must_be_an_address_or_a_known_name(host: str, own: bool) -> None:
    assert is_own_host(host, NAMES) is own


@pytest.mark.parametrize(
    ("headers", "same"),
    [
        ({"host": "a:1", "origin": "https://a:1"}, True),
        ({"host": "a:1", "origin": "https://a:1", "sec-fetch-site": "same-origin"}, True),
        ({"host": "a:1", "origin": "http://a:1"}, False),
        ({"host": "a:1", "origin": "https://evil"}, False),
        ({"host": "a:1"}, False),
        ({"host": "a:1", "origin": "null"}, False),
        ({"host": "a:1", "origin": "https://a:1", "sec-fetch-site": "cross-site"}, False),
    ],
)
def test_change_is_taken_from_the_page_alone(headers: dict[str, str], same: bool) -> None:
    assert is_same_origin(headers, "https") is same
