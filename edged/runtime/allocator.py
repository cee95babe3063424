"""The memory of a process that runs for months: one heap, and what is free goes back."""

from __future__ import annotations

import gc

from edged.runtime import libc

ARENA_MAX = -8  # M_ARENA_MAX of malloc.h
MAX_ARENAS = 1


def limit_arenas() -> None:
    """Let all threads share one heap, made before there are threads. Elsewhere than on glibc nothing happens.

    glibc otherwise gives each of our twenty threads a heap of its own, up to eight per core, and every one grows to the
    largest frame it ever held: tens of megabytes an hour, for hours.
    """
    if mallopt := libc.function("mallopt"):
        mallopt(ARENA_MAX, MAX_ARENAS)


def freeze_gc() -> None:
    """What there is now stays for long: Python's collector goes through it once more, and then leaves it alone.

    Seventy thousand objects of libraries and models take it tens of milliseconds, in which no frame moves.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def trim_heap() -> None:
    """What is free goes back to the kernel: garbage, what Python keeps for later, the holes of the heap.

    By itself Python does this when seven hundred objects more were made than freed, a hundred times over: here after
    hours, in which each length of tuple may keep two thousand. A millisecond or two, once `settle` was called.
    """
    gc.collect()
    if trim := libc.function("malloc_trim"):
        trim(0)
