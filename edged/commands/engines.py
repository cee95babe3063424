"""`edged engines`: TensorRT engines of the models in use, as a person looks at them."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edged.config.tree import Config
    from engines.build.service import BuildJob, EngineBuilder
    from engines.card import Card
    from engines.prepare.model import Precision
    from engines.store.engine_store import StoredEngine

VERB = "engines"
SUMMARY = "Build, prove and look after TensorRT engines."

LIST_COLUMNS = ("model", "engine", "state", "size", "built for", "TensorRT", "took")
BUILD_COLUMNS = ("model", "result", "prepare", "build", "size", "peak RSS", "drift")
FLAVOURS = ("tensorrt", "tensorrt-rtx")

Row = dict[str, object]


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    _action(actions, "list", "Every engine in the store.")
    build = _action(actions, "build", "Build what is missing; the models in use, unless named.")
    build.add_argument("names", nargs="*", metavar="NAME")
    build.add_argument("--again", action="store_true", help="build although one is there, or attempts are used up")
    build.add_argument("--precision", choices=("fp16", "fp32"), default="fp16")
    build.add_argument("--memory-mb", type=int, metavar="MB", help="address space the build may have")
    for name, summary in (
        ("verify", "Read every engine, and prove those that can be run here."),
        ("explain", "Why an engine is, or is not, usable here: its key, field by field."),
        ("rollback", "Go back to the engine before the current one."),
    ):
        _action(actions, name, summary).add_argument("names", nargs="*", metavar="NAME")
    _action(actions, "clean", "Remove halves, what was put aside, and engines that nobody goes back to.")


def _action(
    actions: argparse._SubParsersAction[argparse.ArgumentParser], name: str, summary: str
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=summary, description=summary)
    parser.add_argument("--config", type=Path, help="configuration file to take the defaults from")
    parser.add_argument("--store", type=Path, help="where models and engines are kept")
    parser.add_argument("--catalogue", type=Path, help="directory of additional model cards")
    parser.add_argument("--tensorrt", choices=FLAVOURS, default="tensorrt", help="which TensorRT builds")
    parser.add_argument("--json", action="store_true", help="one JSON array on stdout")
    return parser


def run(args: argparse.Namespace) -> int:
    acts: dict[str, Callable[[argparse.Namespace], int]] = {
        "list": _list,
        "build": _build,
        "verify": _verify,
        "explain": _explain,
        "rollback": _rollback,
        "clean": _clean,
    }
    return acts[args.action](args)


def _list(args: argparse.Namespace) -> int:
    plans = _plans(args)
    rows: list[Row] = []
    for model in plans.models():
        now = plans.current(model)
        rows += [_list_row(plan, current=now is not None and plan.key == now.key) for plan in plans.engines(model)]
    return _print(args, LIST_COLUMNS, rows)


def _build(args: argparse.Namespace) -> int:
    from engines.errors import EngineError  # noqa: PLC0415

    rows: list[Row] = []
    failed = 0
    with _stop_on_signal() as stop:
        foundry = _foundry(args, args.memory_mb)
        for card in _cards(args):
            try:
                rows.append(_build_one(args, foundry, card, stop))
            except EngineError as exc:
                failed = 1
                rows.append({"model": card.name, "result": "failed", "error": str(exc)})
                print(f"edged engines: {exc}", file=sys.stderr)
    _print(args, BUILD_COLUMNS, rows)
    return failed


def _build_one(args: argparse.Namespace, foundry: EngineBuilder, card: Card, stop: Any) -> Row:
    from edged.commands.progress import build_bar  # noqa: PLC0415

    job = _job(args, foundry, card)
    plan = None if args.again else foundry.plans.find(card.name, job.key)
    result = "was there"
    if plan is None:
        if args.again:
            foundry.plans.forget(card.name, job.key)
        with build_bar(card.name, quiet=args.json) as on_progress:
            plan = foundry.build(job, on_progress, stop)
        result = "built"
    return {"model": card.name, "result": f"{result}, {_state(plan)}", **_details(plan)}


def _verify(args: argparse.Namespace) -> int:
    foundry = _foundry(args)
    rows: list[Row] = []
    for card in _cards(args):
        plan, reason = foundry.usable(_job(args, foundry, card))
        rows.append({"model": card.name, "result": "good" if plan else "not usable", "why": reason})
    _print(args, ("model", "result", "why"), rows)
    return int(any(row["result"] != "good" for row in rows))


def _explain(args: argparse.Namespace) -> int:
    foundry = _foundry(args)
    rows: list[Row] = []
    for card in _cards(args):
        job = _job(args, foundry, card)
        plan = foundry.plans.find(card.name, job.key)
        reasons = [f"{_state(plan)}: its key is the one wanted here"] if plan else foundry.explain(job)
        tries = foundry.plans.attempts(card.name, job.key)
        if tries:
            reasons.append(f"{tries} attempts failed, the last: {foundry.plans.last_failure(card.name, job.key)}")
        rows += [{"model": card.name, "key": job.key.digest, "because": reason} for reason in reasons]
    return _print(args, ("model", "key", "because"), rows)


def _rollback(args: argparse.Namespace) -> int:
    plans = _plans(args)
    back = {card.name: plans.rollback(card.name) for card in _cards(args)}
    rows: list[Row] = [
        {"model": name, "engine": plan.key.digest if plan else "no other proved engine"} for name, plan in back.items()
    ]
    _print(args, ("model", "engine"), rows)
    return int(not all(back.values()))


def _clean(args: argparse.Namespace) -> int:
    return _print(args, ("removed",), [{"removed": what} for what in _plans(args).clean()])


def _config(args: argparse.Namespace) -> Config:
    from edged.config.load import load  # noqa: PLC0415

    return load(args.config)


def _store(args: argparse.Namespace) -> Path:
    from edged.errors import ConfigError  # noqa: PLC0415

    if args.store is None:
        return _config(args).models.store
    store: Path = args.store
    if args.action != "build" and not store.is_dir():  # which may be the first to put something there
        raise ConfigError(f"--store {store}: no such folder; want one that `edged engines build --store` filled")
    return store


def _plans(args: argparse.Namespace) -> Any:
    from edged.inference.engine_builder import ENGINE_FOLDER  # noqa: PLC0415
    from engines.store.engine_store import EngineStore  # noqa: PLC0415

    return EngineStore(_store(args) / ENGINE_FOLDER)


def _foundry(args: argparse.Namespace, memory_mb: int | None = None) -> EngineBuilder:
    from edged.inference.engine_builder import engine_builder  # noqa: PLC0415

    return engine_builder(_store(args), args.tensorrt, memory_mb)


def _cards(args: argparse.Namespace) -> list[Card]:
    """Those named, or those in use."""
    from edged.commands.models import card_of  # noqa: PLC0415
    from engines.catalogue import load  # noqa: PLC0415

    models = _config(args).models
    cards = load(args.catalogue or models.catalogue)
    names = getattr(args, "names", None) or dict.fromkeys(models.card_names)
    return [card_of(cards, name) for name in names]


def _job(args: argparse.Namespace, foundry: EngineBuilder, card: Card) -> BuildJob:
    from engines.store.model_store import ModelStore  # noqa: PLC0415

    settings = _config(args)
    file = ModelStore(_store(args), settings.models.mirror).path(card)
    precision: Precision = getattr(args, "precision", "fp16")
    options = settings.engines
    return foundry.job(
        card, file, level=options.optimization_level, workspace_mb=options.workspace_mb, precision=precision
    )


def _list_row(plan: StoredEngine, *, current: bool) -> Row:
    key = plan.key
    return {
        "model": plan.model,
        "engine": key.digest,
        "state": f"{_state(plan)}{', current' if current else ''}",
        "built for": f"{key.gpu or 'no GPU here'} {key.sm or ''}".strip(),
        "TensorRT": f"{key.tensorrt} ({key.flavour})",
        "took": f"{plan.meta['seconds']} s",
        **_details(plan),
    }


def _state(plan: StoredEngine) -> str:
    return "proved" if plan.is_verified else "unproved" if plan.proof is None else "failed its proof"


def _details(plan: StoredEngine) -> Row:
    from engines.store.disk import megabytes  # noqa: PLC0415

    meta = plan.meta
    return {
        "size": megabytes(int(meta["bytes"])),
        "prepare": f"{meta['prepare_s']} s",
        "build": f"{meta['seconds']} s",
        "peak RSS": f"{meta['peak_rss_mb']} MB",
        "drift": _drift(meta["fp16_drift"]),
        "key": plan.key.digest,
        "path": str(plan.folder),
    }


def _drift(drift: Mapping[str, Any]) -> str:
    """FP16 against FP32, in the terms of the task."""
    if drift.get("max_shift_mm") is not None:
        return f"{drift['max_shift_mm']} mm"
    if drift.get("max_depth_diff") is not None:
        return f"{drift['max_shift_px']} px, depth {drift['max_depth_diff']:.2%}"
    if drift["max_shift_px"] is not None:
        return f"{drift['max_shift_px']} px, {drift['argmax_agreement']:.1%} same bins"
    return f"IoU {drift['min_iou']}, score {drift['max_score_diff']}"


def _print(args: argparse.Namespace, columns: Sequence[str], rows: Sequence[Row]) -> int:
    from edged.commands.progress import print_table  # noqa: PLC0415

    if args.json:
        print(json.dumps(rows, indent=2))
    else:
        print_table(columns, rows)
    return 0


@contextmanager
def _stop_on_signal() -> Iterator[Any]:
    """An event set by SIGTERM and SIGINT."""
    import signal  # noqa: PLC0415
    import threading  # noqa: PLC0415

    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
