"""The starter models, opened once per process of tests."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import engines

STARTER = Path(engines.__file__).parent / "starter"


@contextmanager
def starter_models_opened_once() -> Iterator[None]:
    """Runs share the starter models' sessions, which keep nothing between runs, and warm nothing up.

    Both take most of the CPU time of a short run; `test_session.py` looks at the warm-up in a process of its own.
    """
    if importlib.util.find_spec("onnxruntime") is None:
        yield
        return
    import onnxruntime as ort

    from edged.inference.cpu.onnxruntime import OrtSession

    opened: dict[tuple[str, int], Any] = {}
    new_session = ort.InferenceSession

    def session(path_or_bytes: Any, sess_options: ort.SessionOptions | None = None, **settings: Any) -> Any:
        model, options = path_or_bytes, sess_options  # other programs name them
        if options is None or not isinstance(model, Path) or model.parent != STARTER:
            return new_session(model, options, **settings)
        key = (model.name, options.intra_op_num_threads)
        if key not in opened:
            opened[key] = new_session(model, options, **settings)
        return opened[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ort, "InferenceSession", session)
        patch.setattr(OrtSession, "warm_up", lambda self, subjects: None)
        yield
