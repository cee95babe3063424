"""A release from a mirror: a real TLS server on loopback, whose authority this machine does or does not know."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from edged.errors import NotTrusted
from edged.provisioning.release import SIGNATURE, SUMS, find_release, obtain
from edged.provisioning.signature import RELEASE, signer_lines
from tests.support import certs
from tests.support.raising import raises_code
from tests.support.signing import new_key, public, sign

PACKAGE = b"a package" * 100_000


@pytest.fixture
def keys(tmp_path: Path) -> list[str]:
    """Of the one who signs; the folder `release` is what the mirror has."""
    key, folder = new_key(tmp_path), tmp_path / "release"
    folder.mkdir()
    (folder / "edged_2.0_amd64.deb").write_bytes(PACKAGE)
    sums = f"{hashlib.sha256(PACKAGE).hexdigest()}  edged_2.0_amd64.deb\n".encode()
    (folder / SUMS).write_bytes(sums)
    (folder / SIGNATURE).write_bytes(sign(sums, key, RELEASE))
    (tmp_path / "work").mkdir()
    return signer_lines(public(key), "")


@pytest.fixture
def mirror(tmp_path: Path, keys: list[str]) -> Iterator[str]:
    certs.new_ca(tmp_path)
    certs.sign("mirror", tmp_path, "subjectAltName=IP:127.0.0.1")
    with certs.https_server(tmp_path / "release", tmp_path) as address:
        yield address


def test_signed_release_is_fetched_from_a_mirror_whose_certificate_is_valid(
    mirror: str, keys: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NotTrusted, match=r"certificate verify failed.*update-ca-certificates"):
        find_release(mirror, "amd64", keys, tmp_path / "work")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    release = find_release(mirror, "amd64", keys, tmp_path / "work")
    assert obtain(mirror, release, tmp_path / "work").read_bytes() == PACKAGE


def test_package_that_the_mirror_has_changed_is_refused_and_not_kept(
    mirror: str, keys: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    release = find_release(mirror, "amd64", keys, tmp_path / "work")
    (tmp_path / "release" / release.file).write_bytes(PACKAGE[:-1] + b"x")
    with raises_code(NotTrusted, "wrong-hash"):
        obtain(mirror, release, tmp_path / "work")
    assert not (tmp_path / "work" / release.file).exists()
