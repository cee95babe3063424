"""Certificates made by openssl, for brokers and clients of tests."""

from __future__ import annotations

import subprocess
from pathlib import Path

NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout")


def openssl(*args: str, at: Path) -> None:
    subprocess.run(["openssl", *args], cwd=at, check=True, capture_output=True, timeout=60)


def sign(name: str, at: Path, extension: str, *, days: int = 2) -> None:
    """A key pair for `name`, signed by ca.pem."""
    (at / "ext").write_text(extension)
    openssl("req", *NEW_KEY, f"{name}.key", "-out", "csr", "-subj", f"/CN={name}", at=at)
    signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "ext", "-out", f"{name}.pem")
    openssl("x509", "-req", "-in", "csr", "-days", str(days), *signed, at=at)
