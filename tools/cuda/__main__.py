"""`python -m tools.cuda`: checks that the required packages are installed, then runs `tools.cuda.command`."""

from __future__ import annotations

import sys

from tools.cuda import requirements


def main() -> int:
    if lacks := requirements.missing_packages():
        sys.stderr.writelines(f"cannot be measured here: {lack}\n" for lack in lacks)
        return 1
    from tools.cuda.command import command  # noqa: PLC0415  # imports the packages checked above

    return command()


if __name__ == "__main__":
    sys.exit(main())
