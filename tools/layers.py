"""Checks the import rules: `python -m tools.layers`, part of `make lint`.

A part may import parts of earlier lines of the table, but no others of its own line or of later ones. Files have no
import cycles, those of tools neither, nor have its folders. An external library is imported in one part. Imports under
`TYPE_CHECKING` count too.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]

# From the basic parts to those that combine them. Parts of one line do not import each other.
LAYERS = (
    ("engines.arrays", "engines.classes", "engines.errors", "engines.units"),
    ("engines.bindings", "engines.child_process", "engines.machine"),
    ("engines.card",),
    ("engines.catalogue", "engines.golden", "engines.prepare", "engines.store"),
    ("engines.card_outline",),
    ("engines.verify",),
    ("engines.build",),
    ("edged.errors", "edged.units", "edged.frame", "edged.foreign_text", "edged.secret_address"),
    ("edged.runtime",),
    ("edged.config",),
    ("edged.messages",),
    ("edged.capture", "edged.inference", "edged.tracking"),
    ("edged.pipeline",),
    ("edged.behaviour",),
    ("edged.drawing", "edged.mqtt", "edged.config_remarks"),
    ("edged.config_check",),
    ("edged.device", "edged.provisioning"),
    ("edged.publisher", "edged.frame_crew"),
    ("edged.loop",),
    ("edged.evidence",),
    ("edged.control",),
    ("edged.live_state",),
    ("edged.daemon",),
    ("edged.panel",),
    ("edged.app",),
    ("edged.hardware_report",),
    ("edged.commands",),
    ("edged.__main__",),
)
# The parts that may import an external library. Libraries not listed may be imported anywhere.
ROOMS = {
    "cv2": ("edged.capture.sources", "edged.inference.cpu", "edged.drawing"),
    "starlette": ("edged.panel",),
    "uvicorn": ("edged.panel",),
    "av": ("edged.capture.sources", "edged.drawing"),
    "onnxruntime": ("edged.inference", "edged.hardware_report"),
    "openvino": ("edged.inference.cpu",),
    "paho": ("edged.mqtt",),
    "amqtt": ("edged.mqtt.embedded_broker",),
    "systemd": ("edged.runtime",),
    "pycuda": ("edged.inference.cuda",),
    "tensorrt": ("engines.bindings", "edged.inference.cuda"),
    "prometheus_client": ("edged.device.prometheus", "edged.device.scene_metrics"),
    "rich": ("edged.commands", "edged.drawing"),
}

Imports = Mapping[str, frozenset[str]]


def sources(*folders: str) -> dict[str, Path]:
    """Every module of these folders by its dotted name."""
    paths = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return {module_name(path): path for path in paths}


def read_imports(*folders: str) -> Imports:
    """What every module of these folders imports."""
    files = sources(*folders)
    return {name: imports(path.read_text(), files) - {name} for name, path in files.items()}


def module_name(path: Path) -> str:
    """The dotted name of a file below the root."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(text: str, modules: Iterable[str] = ()) -> frozenset[str]:
    """The modules that a source text imports; of `from a import b`, `a.b` where that is one of `modules`, else `a`."""
    known = set(modules)
    return frozenset(name for node in ast.walk(ast.parse(text)) for name in _names(node, known))


def _names(node: ast.AST, known: set[str]) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        for alias in node.names:
            inner = f"{node.module}.{alias.name}"
            yield inner if inner in known else node.module


def layer(module: str) -> tuple[int, str] | None:
    """The line of LAYERS that a module stands in, and the part it belongs to; None for a package's own `__init__`."""
    for number, parts in enumerate(LAYERS):
        for part in parts:
            if module == part or module.startswith(part + "."):
                return number, part
    return None


def upward(graph: Imports) -> Iterator[str]:
    """One line per import that leads to a part of the same line or of one below."""
    for module, targets in sorted(graph.items()):
        own = layer(module)
        if own is None:
            if "." in module:
                yield f"{module}: stands in no layer; give it a line in tools/layers.py"
            continue
        for target in sorted(targets):
            other = layer(target)
            if other is not None and other[1] != own[1] and other[0] >= own[0]:
                yield f"{module} imports {target}: {own[1]} may not know {other[1]}"


def circles(graph: Imports) -> Iterator[str]:
    """One line per circle of files, each named once, from its first file."""
    done: set[str] = set()
    for start in sorted(graph):
        if start not in done and (found := _circle(graph, start)):
            done.update(found)
            yield "circle: " + " -> ".join([*found, found[0]])


def _circle(graph: Imports, start: str) -> list[str]:
    """A shortest way from `start` back to itself; empty when there is none."""
    ways = [[start]]
    seen: set[str] = set()
    while ways:
        way = ways.pop(0)
        for target in sorted(graph.get(way[-1], ())):
            if target == start:
                return way
            if target in graph and target not in seen:
                seen.add(target)
                ways.append([*way, target])
    return []


def between_folders(graph: Imports) -> Imports:
    """The same imports between folders: `tools.train` of `tools.train.lift`."""
    found: dict[str, set[str]] = {}
    for module, targets in graph.items():
        own = _folder(module)
        found.setdefault(own, set()).update({_folder(target) for target in targets} - {own})
    return {folder: frozenset(targets) for folder, targets in found.items()}


def _folder(module: str) -> str:
    return ".".join(module.split(".")[:2])


def strangers(graph: Imports) -> Iterator[str]:
    """One line per library that is imported outside of its room."""
    for module, targets in sorted(graph.items()):
        for target in sorted(targets):
            rooms = ROOMS.get(target.split(".")[0])
            if rooms and not any(module == room or module.startswith(room + ".") for room in rooms):
                yield f"{module} imports {target}: its room is {', '.join(rooms)}"


def main() -> int:
    """Prints every violation; returns 1 when there is one."""
    graph, tools = read_imports("edged", "engines"), read_imports("tools")
    found = [*upward(graph), *circles(graph), *strangers(graph), *circles(tools), *circles(between_folders(tools))]
    print(*found, sep="\n", end="\n" if found else "", file=sys.stderr)
    print(f"layers: {len(graph)} files, {len(found)} violations")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
