"""`python -m tools.cuda`: `tools.cuda.command`, once the packages it imports are known to be here."""

from __future__ import annotations

import sys

from tools.cuda import needs


def main() -> int:
    if lacks := needs.packages():
        sys.stderr.writelines(f"cannot be measured here: {lack}\n" for lack in lacks)
        return 1
    from tools.cuda.command import command  # noqa: PLC0415  # needs what has only now been looked for

    return command()


if __name__ == "__main__":
    sys.exit(main())
