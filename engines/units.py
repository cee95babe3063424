"""Sizes, the only place they are written."""

BYTES_PER_MB = 1_000_000
BYTES_PER_KIB = 1 << 10  # what Linux calls kB
