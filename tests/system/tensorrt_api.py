"""`python tensorrt_api.py BINDINGS STUBS`: the Python API of a TensorRT that cannot run here, as JSON on stdout.

The bindings load against empty libraries: enough to import, so that classes, members and signatures can be read.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import re
import sys
from pathlib import Path
from typing import Any

from engines.bindings import logger
from engines.build.progress import Estimate
from engines.build.trt import _monitor

DEFAULT = re.compile(r"<[^>]*>")  # an enum's member, as pybind11 writes it
PARAMETER = re.compile(r"(\w+): [^,=\[\]]*(?:\[[^\]]*\][^,=]*)*(=)?")


def signatures(name: str, doc: str) -> list[dict[str, Any]]:
    """Of one function: the names of its parameters, and how many have no default; pybind11 writes them in the doc."""
    found = []
    for told in re.findall(rf"^(?:\d+\. )?{name}\((self: .*?)\) ->", doc, re.MULTILINE):
        parameters = PARAMETER.findall(DEFAULT.sub("x", told))[1:]
        found.append({"names": [p for p, _ in parameters], "least": sum(not default for _, default in parameters)})
    return found


def members(kind: Any) -> dict[str, Any]:
    """Of a class or an enum: functions with their signatures, everything else as None."""
    found: dict[str, Any] = {}
    for name in dir(kind):
        doc = getattr(getattr(kind, name), "__doc__", None) or ""
        found[name] = signatures(name, doc) or None
    return found


def main(bindings: str, stubs: str) -> None:
    for library in sorted(Path(stubs).glob("*.so.*")):
        ctypes.CDLL(str(library), ctypes.RTLD_GLOBAL)
    sys.path.insert(0, bindings)
    api = importlib.import_module("tensorrt_bindings")
    kinds = {name: members(getattr(api, name)) for name in dir(api) if isinstance(getattr(api, name), type)}
    _subclass(api)
    json.dump({"version": api.__version__, "kinds": kinds}, sys.stdout)


def _subclass(api: Any) -> None:
    """What we derive from TensorRT's classes, made once: it raises where they cannot be derived from like this."""
    logger(api, [])
    _monitor(api, Estimate(None), lambda progress: None, None)  # type: ignore[arg-type]


if __name__ == "__main__":
    main(*sys.argv[1:])
