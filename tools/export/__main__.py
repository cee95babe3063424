"""python -m tools.export FAMILY CHECKPOINT --out DIR: an official checkpoint as an ONNX file. Needs torch and onnx."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tools.export.checkpoint import FAMILIES, CheckpointError, load, read
from tools.export.onnx_file import write


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.export", description=__doc__)
    parser.add_argument("family", choices=FAMILIES)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--joints", type=int, default=18, help="18: Human3.6M (default); 21: MuCo")
    given = parser.parse_args()
    try:
        loaded = load(given.family, read(given.checkpoint), given.joints)
    except CheckpointError as exc:
        print(f"{given.checkpoint}: {exc}", file=sys.stderr)
        return 2
    given.out.mkdir(parents=True, exist_ok=True)
    path = given.out / f"{given.family}-{loaded.variant}-{loaded.joints}.onnx"
    print(f"{path} sha256 {write(given.family, loaded, path)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
