"""The file of trusted keys: what becomes a line of it."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from edged.errors import NotTrusted
from edged.provisioning.signature import has_signers, signer_lines, signers, trust

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHY0GyKvGiyjsUvmUZ1DXgUGPVvVQZ1OeFsgRxTJ8cRN"
LINE = f'edged namespaces="edged-provision,edged-release,edged-fleet" {KEY}'


def test_key_is_added_once_without_its_comment_and_by_hand_made_lines_stay(tmp_path: Path) -> None:
    assert not has_signers(tmp_path)
    lines = signer_lines(f"{KEY} somebody@office\r\n".encode(), "site.pub")
    assert (lines, trust(lines, tmp_path), trust(lines, tmp_path)) == ([LINE], [LINE], [])
    (tmp_path / "etc/edged/signers").write_text(f'# ours\nedged valid-before="20300101" {KEY}\n')
    trust(lines, tmp_path)
    assert signers(tmp_path) == [f'edged valid-before="20300101" {KEY}', LINE]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-----BEGIN OPENSSH PRIVATE KEY-----",
        f'cert-authority,namespaces="x" {KEY}',
        f"* {KEY}",
        f"{KEY}\nssh-ed25519 AAAA#",
        f"{KEY}\n" * 9,
        "ssh-ed25519 AAAA\x00 x",
        "\udcff".encode(errors="surrogateescape").decode("latin-1"),
    ],
    ids=["empty", "private", "options", "principal", "damaged second", "many", "NUL", "binary"],
)
def test_anything_but_public_keys_is_refused(text: str) -> None:
    with pytest.raises(NotTrusted, match="is no public key"):
        signer_lines(text.encode("latin-1"), "site.pub")


def test_hostile_key_file_gives_no_other_line() -> None:
    rng = random.Random(22)
    for _ in range(300):
        data = bytearray(f"{KEY} comment\n".encode())
        for _ in range(rng.randrange(1, 4)):
            data[rng.randrange(len(data))] = rng.choice(b'\n\r\x00" ,*#' + bytes([rng.randrange(256)]))
        try:
            lines = signer_lines(bytes(data), "site.pub")
        except NotTrusted:
            continue
        assert all(
            line.startswith('edged namespaces="edged-provision,edged-release,edged-fleet" ssh-') for line in lines
        )
        assert all(len(line.split(" ")) == 4 and line.isprintable() for line in lines)
