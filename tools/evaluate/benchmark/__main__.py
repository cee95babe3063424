"""Benchmarks models on annotated data; an interrupted run continues when it is started again.

python -m tools.evaluate.benchmark --data lsp=DIR --data horse=DIR --data rendered-people=DIR --out OUT
    [--model NAME …] [--weights DIR] [--catalogue DIR] [--list]
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

from tools.evaluate.benchmark.adapters import DATASETS
from tools.evaluate.benchmark.models import models
from tools.evaluate.benchmark.run import Run, run


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tools.evaluate.benchmark", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--data", action="append", default=[], type=_data, metavar="NAME=DIR", help=", ".join(DATASETS))
    parser.add_argument("--model", action="append", default=[], metavar="NAME", help="default: all that match the data")
    parser.add_argument(
        "--weights", type=Path, default=Path("weights"), help="directory with NAME.onnx of other models"
    )
    parser.add_argument("--catalogue", type=Path, help="directory of additional model cards (*.toml)")
    parser.add_argument("--out", type=Path, default=Path("benchmark"))
    parser.add_argument("--list", action="store_true", help="list the models, and which have weights")
    arguments = parser.parse_args()
    known = models(arguments.weights, arguments.catalogue)
    if unknown := sorted(set(arguments.model) - known.keys()):
        parser.error(f"no model {unknown[0]!r}; want one of {', '.join(known)}")
    if arguments.list or not arguments.data:
        for model in known.values():
            state = "available" if model.has_weights else model.how_to_get
            print(f"{model.name:32} {model.task:6} {model.subject:7} {state}")
        return
    chosen = [model for model in known.values() if not arguments.model or model.name in arguments.model]
    report = run(Run(models=chosen, data=dict(arguments.data), out=arguments.out), Bar().show)
    print(report)


def _data(text: str) -> tuple[str, Path]:
    name, _, directory = text.partition("=")
    if name not in DATASETS or not directory:
        raise argparse.ArgumentTypeError(f"{text!r}: want NAME=DIR with NAME one of {', '.join(DATASETS)}")
    return name, Path(directory)


@dataclass(slots=True)
class Bar:
    """Progress on stderr: redrawn in a terminal, ten lines per run elsewhere."""

    _drawn: tuple[str, int] = ("", -1)

    def show(self, what: str, done: int, of: int) -> None:
        tenth = 10 * done // of
        if sys.stderr.isatty():
            end = "\n" if done == of else ""
            print(f"\r{what:50} [{'#' * tenth:10}] {done}/{of}", end=end, file=sys.stderr, flush=True)
        elif self._drawn != (what, tenth):
            print(f"{what}: {done}/{of}", file=sys.stderr, flush=True)
        self._drawn = (what, tenth)


if __name__ == "__main__":
    main()
