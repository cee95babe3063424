"""Sizes, the only place they are written. What the configuration calls MB of engines is counted in MiB."""

BYTES_PER_MB = 1_000_000
BYTES_PER_MIB = 1 << 20
KIB_PER_MIB = 1 << 10
