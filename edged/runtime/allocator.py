"""Memory of a process that runs for months: one heap, and free memory returned to the kernel."""

from __future__ import annotations

import gc

from edged.runtime import libc

ARENA_MAX = -8  # M_ARENA_MAX of malloc.h
MAX_ARENAS = 1


def limit_arenas() -> None:
    """Make all threads share one heap (glibc only). Call it before the first thread is started.

    By default glibc gives a thread a heap of its own, up to eight per core, and each grows to the largest frame it
    ever held: tens of megabytes an hour, for hours.
    """
    if mallopt := libc.function("mallopt"):
        mallopt(ARENA_MAX, MAX_ARENAS)


def freeze_gc() -> None:
    """Collect once, and exclude all objects that exist now from later collections.

    The 70,000 objects of libraries and models cost a collection tens of milliseconds, during which no thread runs.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def trim_heap() -> None:
    """Return free memory to the kernel: garbage, Python's free lists, unused pages of the heap. 1 to 2 ms.

    By itself Python runs a full collection, which empties the free lists, only every few hours here.
    """
    gc.collect()
    return_free_pages()


def return_free_pages() -> None:
    """Return unused pages of the heap to the kernel, where the C library can."""
    if trim := libc.function("malloc_trim"):
        trim(0)
