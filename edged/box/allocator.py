"""One setting of the C library's allocator, made before there are threads."""

from __future__ import annotations

import ctypes

ARENA_MAX = -8  # M_ARENA_MAX of malloc.h
ARENAS = 1


def few_arenas() -> None:
    """Let all threads share one heap. glibc otherwise gives each of our twenty one of its own, up to eight per core, and
    every one grows to the largest frame it ever held: megabytes an hour, for hours. Elsewhere nothing happens."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(ARENA_MAX, ARENAS)
