"""`edged engines`: build, verify and manage TensorRT engines."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edged.commands.interrupts import stop_on_signal
from edged.commands.models import card_of
from edged.commands.progress import build_bar, print_rows
from edged.config.load import load
from edged.config.tree import Config
from edged.errors import ConfigError
from edged.inference.engine_builder import ENGINE_FOLDER, engine_builder
from edged.runtime.privileges import drop_to_owner
from engines.bindings import find as find_tensorrt
from engines.build.service import BuildJob, EngineBuilder
from engines.card import Card, Precision
from engines.catalogue import load as load_cards
from engines.errors import Cancelled, CardError, EngineError, NoTensorRT
from engines.store.disk import megabytes
from engines.store.engine_store import EngineStore, StoredEngine
from engines.store.model_store import ModelStore

LIST_COLUMNS = ("model", "engine", "precision", "state", "size", "built for", "TensorRT", "took")
BUILD_COLUMNS = ("model", "result", "prepare", "build", "size", "peak RSS", "drift")
FLAVOURS = ("tensorrt", "tensorrt-rtx")

Row = dict[str, object]


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    _action(actions, "list", "Every engine in the store.")
    build = _action(actions, "build", "Build missing engines, of these models or of all in use.")
    build.add_argument("names", nargs="*", metavar="NAME")
    build.add_argument(
        "--again", action="store_true", help="build even if an engine exists, or earlier attempts failed"
    )
    build.add_argument("--precision", choices=("int8", "fp16", "fp32"), help="default: compute.precision")
    build.add_argument("--memory-mb", type=int, metavar="MB", help="address space limit of the build")
    for name, summary in (
        ("verify", "Check the files of every engine, and self-test those that can run on this machine."),
        ("explain", "Why an engine is usable on this machine or not: its key, field by field."),
        ("rollback", "Return to the engine before the current one."),
    ):
        _action(actions, name, summary).add_argument("names", nargs="*", metavar="NAME")
    _action(actions, "clean", "Remove unfinished builds, rejected engines, and engines too old for a rollback.")


def _action(
    actions: argparse._SubParsersAction[argparse.ArgumentParser], name: str, summary: str
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=summary, description=summary)
    parser.add_argument("--config", type=Path, help="configuration file to take the defaults from")
    parser.add_argument("--store", type=Path, help="directory of models and engines")
    parser.add_argument("--catalogue", type=Path, help="directory of additional model cards")
    parser.add_argument("--tensorrt", choices=FLAVOURS, default="tensorrt", help="which TensorRT to build with")
    parser.add_argument("--json", action="store_true", help="one JSON array on stdout")
    return parser


def run(args: argparse.Namespace) -> int:
    actions: dict[str, Callable[[argparse.Namespace], int]] = {
        "list": _list,
        "build": _build,
        "verify": _verify,
        "explain": _explain,
        "rollback": _rollback,
        "clean": _clean,
    }
    drop_to_owner(_store(args))
    return actions[args.action](args)


def _list(args: argparse.Namespace) -> int:
    store = _engine_store(args)
    rows: list[Row] = []
    for model in store.models():
        now = store.current(model)
        rows += [
            _list_row(engine, current=now is not None and engine.key == now.key) for engine in store.engines(model)
        ]
    if not rows and not args.json:
        print(_why_none(args))
        return 0
    return print_rows(args, LIST_COLUMNS, rows)


def _why_none(args: argparse.Namespace) -> str:
    """Why there are no engines, and what makes some."""
    try:
        find_tensorrt(args.tensorrt)
    except NoTensorRT as error:
        return f"no engines, and none can be built here: {error}; until then models run on ONNX Runtime and the CPU"
    return "no engines yet; `edged engines build` makes them, and so does the daemon while it runs"


def _build(args: argparse.Namespace) -> int:
    with stop_on_signal() as stop:
        builder = _builder(args, args.memory_mb)
        rows, failed = _each(args, lambda card: [_build_one(args, builder, card, stop)])
    print_rows(args, BUILD_COLUMNS, rows)
    return int(failed)


def _each(args: argparse.Namespace, act: Callable[[Card], list[Row]]) -> tuple[list[Row], bool]:
    """The rows of every model, and whether one failed: it is printed, and the others go on."""
    rows: list[Row] = []
    failed = False
    for card in _cards(args):
        try:
            rows += act(card)
        except Exception as exc:  # supervisor of one model
            failed = True
            error = str(exc) if isinstance(exc, EngineError) else f"{card.name}: {type(exc).__name__}: {exc}"
            rows.append({"model": card.name, "result": "failed", "reason": error})
            print(f"edged engines: {error}", file=sys.stderr)
    return rows, failed


def _build_one(args: argparse.Namespace, builder: EngineBuilder, card: Card, stop: Any) -> Row:
    """In the first precision that can be built, as the daemon does."""
    *better, last = _precisions(args, card)
    for precision in better:
        try:
            return _build_in(args, builder, card, precision, stop)
        except EngineError as refusal:
            if isinstance(refusal, Cancelled):
                raise
            print(f"edged engines: {refusal}; in {last} instead", file=sys.stderr)
    return _build_in(args, builder, card, last, stop)


def _build_in(args: argparse.Namespace, builder: EngineBuilder, card: Card, precision: Precision, stop: Any) -> Row:
    job = _job(args, builder, card, precision)
    engine = None if args.again else builder.plans.find(card.name, job.key)
    result = "existed"
    if engine is None:
        if args.again:
            builder.plans.forget(card.name, job.key)
        with build_bar(card.name, quiet=args.json) as on_progress:
            engine = builder.build(job, on_progress, stop)
        result = "built"
    return {"model": card.name, "result": f"{result}, {_state(engine)}", **_details(engine)}


def _verify(args: argparse.Namespace) -> int:
    builder = _builder(args)

    def verdict(card: Card) -> list[Row]:
        jobs = [job for _, job in _jobs(args, builder, card)]
        found = [(None, job) if isinstance(job, str) else builder.usable(job) for job in jobs]
        if any(engine for engine, _ in found):
            return [{"model": card.name, "result": "usable", "reason": ""}]
        return [{"model": card.name, "result": "not usable", "reason": "; ".join(reason for _, reason in found)}]

    rows, _ = _each(args, verdict)
    print_rows(args, ("model", "result", "reason"), rows)
    return int(any(row["result"] != "usable" for row in rows))


def _explain(args: argparse.Namespace) -> int:
    builder = _builder(args)

    def reasons(card: Card) -> list[Row]:
        jobs = _jobs(args, builder, card)
        return [row for precision, job in jobs for row in explained(card, precision, job)]

    def explained(card: Card, precision: Precision, job: BuildJob | str) -> list[Row]:
        if isinstance(job, str):
            return [{"model": card.name, "precision": precision, "reason": job}]
        engine = builder.plans.find(card.name, job.key)
        found = [f"{_state(engine)}: its key matches this machine"] if engine else builder.explain(job)
        tries = builder.plans.attempts(card.name, job.key)
        if tries:
            found.append(f"{tries} attempts failed, the last: {builder.plans.last_failure(card.name, job.key)}")
        about = {"model": card.name, "precision": precision, "key": job.key.digest}
        return [{**about, "reason": reason} for reason in found]

    rows, failed = _each(args, reasons)
    print_rows(args, ("model", "precision", "key", "reason"), rows)
    return int(failed)


def _rollback(args: argparse.Namespace) -> int:
    store = _engine_store(args)
    back = {card.name: store.rollback(card.name) for card in _cards(args)}
    rows: list[Row] = [
        {"model": name, "engine": engine.key.digest if engine else "no other verified engine"}
        for name, engine in back.items()
    ]
    print_rows(args, ("model", "engine"), rows)
    return int(not all(back.values()))


def _clean(args: argparse.Namespace) -> int:
    return print_rows(args, ("removed",), [{"removed": path} for path in _engine_store(args).clean()])


def _config(args: argparse.Namespace) -> Config:
    return load(args.config)


def _store(args: argparse.Namespace) -> Path:
    if args.store is None:
        return _config(args).models.store
    store: Path = args.store
    if args.action != "build" and not store.is_dir():  # a build may create it
        raise ConfigError(f"--store {store}: no such folder; want one that `edged engines build --store` filled")
    return store


def _engine_store(args: argparse.Namespace) -> EngineStore:
    return EngineStore(_store(args) / ENGINE_FOLDER)


def _builder(args: argparse.Namespace, memory_mb: int | None = None) -> EngineBuilder:
    return engine_builder(_store(args), args.tensorrt, memory_mb)


def _cards(args: argparse.Namespace) -> list[Card]:
    """The cards named on the command line, or those in use."""
    models = _config(args).models_in_use
    cards = load_cards(args.catalogue or models.catalogue)
    names = getattr(args, "names", None) or dict.fromkeys(models.card_names)
    return [card_of(cards, name) for name in names]


def _precisions(args: argparse.Namespace, card: Card) -> tuple[Precision, ...]:
    """The wanted one, then what is used where that fails."""
    asked: Precision | None = getattr(args, "precision", None)
    return (asked,) if asked else card.engine_precisions(_config(args).compute.precision)


def _jobs(args: argparse.Namespace, builder: EngineBuilder, card: Card) -> list[tuple[Precision, BuildJob | str]]:
    """The job of each precision, or why it cannot be prepared. Raises `EngineError` where the last one cannot."""
    *better, last = _precisions(args, card)
    jobs: list[tuple[Precision, BuildJob | str]] = []
    for precision in better:
        try:
            jobs.append((precision, _job(args, builder, card, precision)))
        except CardError as refusal:
            jobs.append((precision, str(refusal)))
    return [*jobs, (last, _job(args, builder, card, last))]


def _job(args: argparse.Namespace, builder: EngineBuilder, card: Card, precision: Precision) -> BuildJob:
    settings = _config(args)
    options, file = settings.engines, ModelStore(_store(args), settings.models.mirror).path(card)
    return builder.job(
        card, file, level=options.optimization_level, workspace_mb=options.workspace_mb, precision=precision
    )


def _list_row(engine: StoredEngine, *, current: bool) -> Row:
    key = engine.key
    return {
        "model": engine.model,
        "engine": key.digest,
        "precision": key.precision,
        "state": f"{_state(engine)}{', current' if current else ''}",
        "built for": f"{key.gpu or 'no GPU here'} {key.sm or ''}".strip(),
        "TensorRT": f"{key.tensorrt} ({key.flavour})",
        "took": f"{engine.meta['seconds']} s",
        **_details(engine),
    }


def _state(engine: StoredEngine) -> str:
    return "verified" if engine.is_verified else "unverified" if engine.proof is None else "failed its self-test"


def _details(engine: StoredEngine) -> Row:
    meta = engine.meta
    return {
        "size": megabytes(int(meta["bytes"])),
        "prepare": f"{meta['prepare_s']} s",
        "build": f"{meta['seconds']} s",
        "peak RSS": f"{meta['peak_rss_mb']} MB",
        "drift": drift_text(meta.get("drift")),
        "key": engine.key.digest,
        "path": str(engine.folder),
    }


def drift_text(drift: Mapping[str, Any] | None) -> str:
    """Return an engine's precision against FP32, in the terms of the task; None: stored by an earlier version."""
    if drift is None:
        return "-"
    if drift.get("max_shift_mm") is not None:
        return f"{drift['max_shift_mm']} mm"
    if drift.get("max_depth_diff") is not None:
        return f"{drift['max_shift_px']} px, depth {drift['max_depth_diff']:.2%}"
    if drift["max_shift_px"] is not None:
        return f"{drift['max_shift_px']} px, {drift['argmax_agreement']:.1%} same bins"
    return f"IoU {drift['min_iou']}, score {drift['max_score_diff']}"
