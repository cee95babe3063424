"""`edged models`: recommend, list, pull, verify and import models."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import get_args

from edged.commands.model_choice import CHOICES, GROUPS, Goal, Machine, Purpose, Subject, describe_choice, group, knows
from edged.commands.own_command import own_command
from edged.commands.progress import download_bars, print_rows
from edged.config.load import load
from edged.config.tables.models import ModelsConfig
from edged.errors import ConfigError
from edged.runtime.privileges import drop_to_owner, readable_by_owner
from engines.card import Card
from engines.catalogue import load as load_cards
from engines.errors import CardError, EngineError
from engines.store.disk import megabytes
from engines.store.model_store import Entry, ModelStore, VerifiedModel

LIST_COLUMNS = ("name", "in use", "state", "get by", "hash", "size", "input", "knows")
TEGRA_RELEASE = Path("/etc/nv_tegra_release")  # only a Jetson has it
GOALS: Mapping[Machine, Goal] = {"board": "accuracy", "cpu": "speed"}  # unless asked for
RESULT_COLUMNS = ("name", "result", "hash", "tensors", "path")


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    recommend = _action(actions, "recommend", "Which models to take for a purpose and a machine.")
    what = "what cameras see (default: a recommendation for each); stalls: horses, and people"
    recommend.add_argument("subject", nargs="?", choices=get_args(Subject), help=what)
    recommend.add_argument("--on", choices=get_args(Machine), default=None, help="default: what this machine is")
    recommend.add_argument("--for", dest="goal", choices=get_args(Goal), help="(board: accuracy; cpu: speed)")
    recommend.add_argument("--pull", action="store_true", help="download them, too")
    _action(actions, "list", "Every card of the catalogue, and whether its model is stored.")
    pull = _action(actions, "pull", "Fetch models from the mirror or from their official address.")
    which = pull.add_argument_group("which")
    which.add_argument("names", nargs="*", metavar="NAME")
    which.add_argument("--all-in-use", action="store_true", help="those that the configuration names")
    verify = _action(actions, "verify", "Check hashes and tensors of stored models.")
    verify.add_argument("names", nargs="*", metavar="NAME", help="default: all stored models")
    importer = _action(actions, "import", "Store a file as a model.")
    importer.add_argument("name", metavar="NAME", help="the model's card")
    importer.add_argument("file", metavar="FILE", type=Path, help="an .onnx, or a .zip holding one")
    importer.add_argument("--replace", action="store_true", help="replace the recorded hash")


def _action(
    actions: argparse._SubParsersAction[argparse.ArgumentParser], name: str, summary: str
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=summary, description=summary)
    parser.add_argument("--config", type=Path, help="configuration file to take the defaults from")
    parser.add_argument("--store", type=Path, help="directory of models")
    parser.add_argument("--mirror", type=Path, help="directory searched before any download")
    parser.add_argument("--catalogue", type=Path, help="directory of additional model cards")
    parser.add_argument("--json", action="store_true", help="one JSON array on stdout")
    return parser


def run(args: argparse.Namespace) -> int:
    models = _models_in_use(args)
    cards = load_cards(args.catalogue or models.catalogue)
    folder = args.store or models.store
    store = ModelStore(folder, args.mirror or models.mirror)
    in_use = list(dict.fromkeys(models.card_names))
    if args.action == "list":
        return _list(args, list(store.entries(cards.values())), in_use)
    if args.action == "import":
        return _import(args, store, card_of(cards, args.name), folder)
    drop_to_owner(folder)
    if args.action == "recommend":
        return _recommend(args, store, cards)
    if args.action == "pull":
        return _pull(args, store, [card_of(cards, name) for name in args.names or in_use])
    stored = [entry.card.name for entry in store.entries(cards.values()) if entry.state != "missing"]
    return _each(args, store.verify, [card_of(cards, name) for name in args.names or stored])


def _import(args: argparse.Namespace, store: ModelStore, card: Card, folder: Path) -> int:
    with readable_by_owner(args.file, folder) as file:
        drop_to_owner(folder)
        return print_rows(args, RESULT_COLUMNS, [_result_row(store.import_(card, file, replace=args.replace))])


def _recommend(args: argparse.Namespace, store: ModelStore, cards: Mapping[str, Card]) -> int:
    """0: told, and downloaded where that was wanted; 1: a download failed."""
    machine: Machine = args.on or ("board" if TEGRA_RELEASE.exists() else "cpu")
    if args.subject is None:
        if args.pull or args.json:
            raise ConfigError(f"no subject given; want one of {', '.join(get_args(Subject))}")
        every = [Purpose(subject, machine, args.goal or GOALS[machine]) for subject in get_args(Subject)]
        print("\n\n".join(describe_choice(purpose, cards, args.store) for purpose in every))
        print(f"\nTo download one of them: {own_command()} models recommend SUBJECT --pull")
        return 0
    purpose = Purpose(args.subject, machine, args.goal or GOALS[machine])
    choice = CHOICES[purpose]
    names = [choice.detector, *choice.pose.values()]
    if args.json:
        print(json.dumps({"detector": choice.detector, "pose": choice.pose, "frames_hz": choice.frames_hz}, indent=2))
    else:
        print(describe_choice(purpose, cards, args.store))
        into = f" --store {shlex.quote(str(args.store))}" if args.store else ""
        print("" if args.pull else f"\nTo download them: {own_command()} models pull {' '.join(names)}{into}")
    if not args.pull:
        return 0
    with download_bars() as bar:
        return _each(args, lambda card: store.pull(card, bar(card.name)), [card_of(cards, name) for name in names])


def _list(args: argparse.Namespace, entries: Sequence[Entry], in_use: list[str]) -> int:
    """One table per group, or with --json all in one array."""
    if args.json:
        return print_rows(args, LIST_COLUMNS, [_list_row(entry, in_use) for entry in entries])
    for key, title in GROUPS.items():
        if rows := [_list_row(entry, in_use) for entry in entries if group(entry.card) == key]:
            print(title)
            print_rows(args, LIST_COLUMNS, rows)
    if recorded := [entry.card.name for entry in entries if entry.trust == "recorded"]:
        print(f"Trusted on first use, by no pinned hash: {', '.join(recorded)}; `--json` has each sha256")
    print(f"Which to take: {own_command()} models recommend people, horses or stalls")
    return 0


def _models_in_use(args: argparse.Namespace) -> ModelsConfig:
    """Those that the configuration loads; the defaults if it is invalid and was not asked for."""
    try:
        return load(args.config).models_in_use
    except ConfigError as exc:
        if args.config is not None or getattr(args, "all_in_use", False):
            raise
        print(f"{exc}\nedged models: using the built-in defaults", file=sys.stderr)
        return ModelsConfig().in_use(lifts=False)


def card_of(cards: Mapping[str, Card], name: str) -> Card:
    """The card of that name. Raises CardError with the names that are near."""
    if name not in cards:
        near = get_close_matches(name, cards, n=3) or sorted(cards)
        raise CardError(f"no card {name!r}; want {', '.join(near)}; `edged models list` shows all")
    return cards[name]


def _pull(args: argparse.Namespace, store: ModelStore, cards: Iterable[Card]) -> int:
    if bool(args.names) == args.all_in_use:
        print("edged models pull: name models, or give --all-in-use", file=sys.stderr)
        return 2
    with download_bars() as bar:
        return _each(args, lambda card: store.pull(card, bar(card.name)), cards)


def _each(args: argparse.Namespace, act: Callable[[Card], VerifiedModel], cards: Iterable[Card]) -> int:
    """Act on every card; a failure is printed and does not stop the others."""
    rows: list[dict[str, object]] = []
    failed = 0
    for card in cards:
        try:
            rows.append(_result_row(act(card)))
        except EngineError as exc:
            failed = 1
            rows.append({"name": card.name, "result": "failed", "error": str(exc)})
            print(f"edged models: {exc}", file=sys.stderr)
    print_rows(args, RESULT_COLUMNS, rows)
    return failed


def _list_row(entry: Entry, in_use: list[str]) -> dict[str, object]:
    card = entry.card
    width, height = card.input.size_wh
    return {
        "name": card.name,
        "in use": card.name in in_use,
        "state": entry.state,
        "get by": None if entry.state != "missing" else "pull" if card.source.url else "export, import",
        "hash": entry.trust,
        "sha256": entry.sha256,
        "size": None if entry.bytes is None else megabytes(entry.bytes),
        "bytes": entry.bytes,
        "family": card.family,
        "input": f"{width}x{height}",
        "group": group(card),
        "knows": knows(card),
        "licence": card.licence,
        "summary": card.summary,
        "page": card.source.page,
        "path": str(entry.path),
    }


def _result_row(verdict: VerifiedModel) -> dict[str, object]:
    return {
        "name": verdict.card.name,
        "result": "ok",
        "hash": verdict.trust,
        "tensors": "match" if verdict.described else "not checked: onnx is not installed",
        "sha256": verdict.sha256,
        "path": str(verdict.path),
    }
