"""`python -m edged.hardware_report.child`: one probe in a process of its own, which may hang or die by itself.

The request comes on stdin as JSON; every row goes to stdout as a line of JSON, as soon as it is found.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edged.config.load import load
from edged.hardware_report.probe import Bench, NotPossible, ReportRow, failed, not_possible
from edged.hardware_report.table import BY_NAME


def main() -> int:
    """The rows go to the stdout we were given; what libraries print there goes to stderr."""
    request: dict[str, Any] = json.load(sys.stdin)
    out, sys.stdout = sys.stdout, sys.stderr
    bench = Bench(
        settings=load(Path(request["config"]) if request["config"] else None),
        folder=Path(request["folder"]),
        seconds=request["seconds"],
        flavour=request["flavour"],
    )

    def tell(row: ReportRow) -> None:
        print(json.dumps(asdict(row)), file=out, flush=True)

    try:
        for row in BY_NAME[request["probe"]].run(bench):
            tell(row)
    except NotPossible as why:
        tell(not_possible("all of it", str(why)))
    except Exception as exc:  # this process's outermost supervisor: what went wrong belongs in the report
        tell(failed("all of it", f"{type(exc).__name__}: {exc}"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
