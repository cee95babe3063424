#!/bin/sh
# Linux 6.18, Python 3.11: resource.getrusage(RUSAGE_SELF).ru_maxrss of a process that subprocess started is at least the memory
# of the process that started it, for execve() keeps the peak of the address space before it, which is the parent's. VmHWM in
# /proc/self/status is of the new address space alone.
#
# Seen (the parent holds 300 MB, the child imports nothing):
#   ru_maxrss 314 MB, VmHWM 13 MB
set -eu
python3 - <<'PYTHON'
import subprocess
import sys

CHILD = """
import resource
(high,) = (line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM:"))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, high)
"""
held = bytearray(300_000_000)
held[::4096] = b"x" * len(held[::4096])  # resident
told = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=True).stdout
most_mb, own_mb = (int(kib) * 1024 // 1_000_000 for kib in told.split())
print(f"ru_maxrss {most_mb} MB, VmHWM {own_mb} MB")
assert most_mb > 300 and own_mb < 60
PYTHON
