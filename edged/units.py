"""Conversion factors, the only place they are written; and how counts and scores are put into words.

Inside, time is monotonic nanoseconds; wall time is added once, where a message leaves the daemon.
"""

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000
NS_PER_US = 1_000
US_PER_S = 1_000_000
MS_PER_S = 1_000
US_PER_MS = 1_000
MM_PER_M = 1_000
S_PER_MIN = 60
S_PER_H = 3_600
S_PER_DAY = 86_400
MS_PER_DAY = 86_400_000
BYTES_PER_KB = 1_000
BYTES_PER_MB = 1_000_000
KB_PER_MB = 1_000
HZ_PER_MHZ = 1_000_000
HARDLY_SEEN = 0.2  # score; whoever is new needs more by far
MILLI_PER_UNIT = 1_000  # m°C per °C, mV per V, mA per A


def ns(seconds: float) -> int:
    """Seconds as whole nanoseconds."""
    return round(seconds * NS_PER_S)


def ms(nanoseconds: int) -> float:
    """Nanoseconds as milliseconds."""
    return nanoseconds / NS_PER_MS


def certainty(score: float) -> str:
    """`93 %`; of a subject that goes on by what was seen before, words: a figure would look like an error."""
    return "hardly seen now" if score < HARDLY_SEEN else f"{100 * score:.0f} %"


def plural(count: int, noun: str) -> str:
    """`1 camera`, `2 cameras`"""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
