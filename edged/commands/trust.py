"""`edged trust`: the keys whose signatures this device takes."""

from __future__ import annotations

import argparse
from pathlib import Path

from edged.errors import NotTrusted, NotWritten
from edged.provisioning.signature import SIGNERS, fingerprint, signer_lines, signers, trust


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("key", nargs="*", type=Path, metavar="KEY.pub", help="public keys to trust; none: list them")
    parser.add_argument("--root", type=Path, default=Path("/"), metavar="DIR", help="the root of a disk image (/)")


def run(args: argparse.Namespace) -> int:
    """0: done; 1: without keys to add, this device trusts none."""
    lines = [line for key in args.key for line in signer_lines(_read(key), str(key))]
    try:
        new = trust(lines, args.root)
    except OSError as exc:
        raise NotWritten(f"{args.root / SIGNERS}: {exc.strerror}; run it as root") from exc
    for line in signers(args.root):
        print(f"{'added' if line in new else 'trusted'}  {fingerprint(line)}")
    if not signers(args.root):
        print("this device has no key: it takes no update, and no stick once it has settings; edged trust KEY.pub")
        return 1
    print(f"To remove a key, delete its line in {args.root / SIGNERS}.")
    return 0


def _read(key: Path) -> bytes:
    try:
        return key.read_bytes()
    except OSError as exc:
        want = "want the .pub file of ssh-keygen; edged trust alone lists the keys"
        raise NotTrusted(f"{key}: {exc.strerror}; {want}") from exc
