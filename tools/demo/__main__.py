"""Renders the demonstration clip and its truth: `python -m tools.demo OUT.mp4`."""

from __future__ import annotations

import argparse
from pathlib import Path

from tools.demo.stall import CRF, FPS, SIZE_WH, pictures
from tools.synth.film import write_film


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.demo", description=__doc__)
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    count = write_film(out, pictures(), FPS, SIZE_WH, CRF)
    print(f"{out}: {count} frames, {out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
