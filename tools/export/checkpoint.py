"""Official checkpoint files: reads the weights and builds their net.

Supports old and zip-serialised torch files, weights under "network" or "state_dict", names with or without "module.".
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from tools.export.families import FAMILIES, CheckpointError, Export, Weights
from tools.export.unpickle import Unreadable, read_tensors

DATA_PARALLEL = "module."
HOLDERS = ("network", "state_dict", "model")


def read(path: Path) -> Weights:
    """Return the weights of a checkpoint file, without "module.". Raises `CheckpointError`, and OSError."""
    try:
        found = read_tensors(path)
    except Unreadable as exc:
        raise CheckpointError(str(exc)) from exc
    for holder in HOLDERS:
        if isinstance(found, dict) and isinstance(found.get(holder), Mapping):
            found = found[holder]
            break
    named = found.items() if isinstance(found, Mapping) else ()
    weights = {str(name).removeprefix(DATA_PARALLEL): _single(w) for name, w in named if isinstance(w, Tensor)}
    if not weights:
        raise CheckpointError(f"got a {type(found).__name__} without tensors; want weights by name, as published")
    return weights


def load(family: str, weights: Weights, joints: int = 18) -> Export:
    """Return the net of the weights, loaded, in eval mode. Raises `CheckpointError`."""
    found = FAMILIES[family](weights, joints)
    wanted = found.net.state_dict()
    counts = {name for name in wanted if name.endswith("num_batches_tracked")}  # absent from old files
    missing, extra = wanted.keys() - counts - weights.keys(), weights.keys() - wanted.keys()
    if missing or extra:
        raise CheckpointError(f"{family}: the file lacks {sorted(missing)[:3]} and has unknown {sorted(extra)[:3]}")
    if clash := [name for name, value in weights.items() if value.shape != wanted[name].shape]:
        name = clash[0]
        got, want = tuple(weights[name].shape), tuple(wanted[name].shape)
        raise CheckpointError(f"{family}: {name} is {got}, want {want}, and {len(clash) - 1} more")
    found.net.load_state_dict(dict(weights), strict=False)
    found.net.eval()
    return found


def _single(weight: Tensor) -> Tensor:
    """Return a floating point weight in FP32; some files are saved in half precision."""
    return weight.float() if weight.is_floating_point() else weight
