"""Which frames a rate limit lets pass."""

from __future__ import annotations

import pytest

from edged.runtime.rate_limit import RateLimiter
from edged.units import NS_PER_MS

TIMES = {
    "first-passes": ([1000], [True]),
    "second-at-once-is-dropped": ([1000, 1000], [True, False]),
    "one-period-later-passes": ([1000, 1100], [True, True]),
    "half-a-period-early-is-jitter": ([1000, 1050], [True, True]),
    "earlier-than-half-is-dropped": ([1000, 1049], [True, False]),
    "jitter-does-not-raise-the-rate": ([1000, 1050, 1100, 1150], [True, True, False, True]),
    "no-burst-after-a-pause": ([1000, 9000, 9001, 9002], [True, True, False, False]),
}


@pytest.mark.parametrize(("times_ms", "passes"), TIMES.values(), ids=TIMES)
def test_limiter_of_100_ms_lets_pass(times_ms: list[int], passes: list[bool]) -> None:
    limiter = RateLimiter(100 * NS_PER_MS)
    assert [limiter.allow(t * NS_PER_MS) for t in times_ms] == passes
