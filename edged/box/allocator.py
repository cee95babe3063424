"""One setting of the C library's allocator, made before there are threads."""

from __future__ import annotations

import ctypes

ARENA_MAX = -8  # M_ARENA_MAX of malloc.h
ARENAS = 1


def few_arenas() -> None:
    """Let all threads share one heap. Elsewhere than on glibc nothing happens.

    glibc otherwise gives each of our twenty threads a heap of its own, up to eight per core, and every one grows to the
    largest frame it ever held: tens of megabytes an hour, for hours.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(ARENA_MAX, ARENAS)
