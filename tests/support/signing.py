"""Keys and signatures by the real ssh-keygen, as an integrator makes them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


def new_key(folder: Path, name: str = "site") -> Path:
    """A key without a passphrase; its public half is beside it."""
    if shutil.which("ssh-keygen") is None:
        pytest.skip("ssh-keygen is missing (apt-get install openssh-client)")
    key = folder / name
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True, timeout=60)
    return key


def public(key: Path) -> bytes:
    return key.with_name(f"{key.name}.pub").read_bytes()


def sign(data: bytes, key: Path, namespace: str) -> bytes:
    """The signature of these bytes."""
    command = ["ssh-keygen", "-q", "-Y", "sign", "-f", str(key), "-n", namespace]
    return subprocess.run(command, input=data, capture_output=True, check=True, timeout=60).stdout
