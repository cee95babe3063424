"""Every call of ours to TensorRT exists in the Python API of each TensorRT that a Jetson may have."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
WHEELS = Path(sys.prefix) / "tensorrt-api"  # `make system` puts them there
VERSIONS = ("10.3.0", "10.13.2.6", "10.16.1.11", "11.4.0.106")
FILES = ("engines/build/trt.py", "engines/bindings.py", "edged/inference/cuda/engine_trt.py")
LIBRARIES = ("nvinfer", "nvinfer_plugin", "nvonnxparser")
EMPTY = """
#define EMPTY(name) void *name(void) { return 0; }
EMPTY(createInferBuilder_INTERNAL) EMPTY(createInferRefitter_INTERNAL) EMPTY(createInferRuntime_INTERNAL)
EMPTY(createNvOnnxParser_INTERNAL) EMPTY(createNvOnnxParserRefitter_INTERNAL) EMPTY(getNvOnnxParserVersion)
EMPTY(getBuilderPluginRegistry) EMPTY(getPluginRegistry) EMPTY(initLibNvInferPlugins)
"""
KINDS = {  # what our names for them stand for
    "builder": "Builder",
    "network": "INetworkDefinition",
    "parser": "OnnxParser",
    "config": "IBuilderConfig",
    "profile": "IOptimizationProfile",
    "cache": "ITimingCache",
    "self._runtime": "Runtime",
    "self._engine": "ICudaEngine",
    "run": "IExecutionContext",
    "self._runs[batch]": "IExecutionContext",
}
GONE = {"BuilderFlag.FP16": (11,)}  # asked for by version: engines/build/trt.py


@dataclass(frozen=True, slots=True)
class Use:
    """One use of TensorRT's API in our code; `arguments` only of a call."""

    kind: str
    member: str
    where: str
    arguments: tuple[int, tuple[str, ...]] | None = field(default=None, compare=False)  # positional, named


def uses() -> list[Use]:
    return [use for file in FILES for use in _uses(file)]


def _uses(file: str) -> Iterator[Use]:
    tree = ast.parse((ROOT / file).read_text())
    calls = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute):
            continue
        where, owner, call = f"{file}:{node.lineno}", ast.unparse(node.value), calls.get(id(node))
        arguments = None if call is None else (len(call.args), tuple(str(k.arg) for k in call.keywords))
        if owner in KINDS:
            yield Use(KINDS[owner], node.attr, where, arguments)
        elif owner == "api" and node.attr != "__version__":
            yield Use(node.attr, "__init__", where, arguments)
        elif owner.startswith("api."):
            yield Use(owner.removeprefix("api."), node.attr, where)


@pytest.fixture(scope="module")
def stubs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Empty libraries with the names that the bindings load."""
    if shutil.which("cc") is None:
        pytest.skip("no C compiler (cc) to make empty TensorRT libraries with")
    folder = tmp_path_factory.mktemp("stubs")
    (folder / "empty.c").write_text(EMPTY)
    for major in (10, 11):
        (folder / str(major)).mkdir()
        for name in LIBRARIES:
            soname = f"lib{name}.so.{major}"
            made = ["-o", str(folder / str(major) / soname), f"-Wl,-soname,{soname}", str(folder / "empty.c")]
            subprocess.run(["cc", "-shared", "-fPIC", *made], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module", params=VERSIONS)
def api(request: pytest.FixtureRequest, stubs: Path) -> dict[str, Any]:
    folder = WHEELS / request.param
    if not folder.exists():
        pytest.skip(f"no bindings of TensorRT {request.param} in {folder}: `make system` gets them")
    major = request.param.split(".")[0]
    command = [sys.executable, str(ROOT / "tests/system/tensorrt_api.py"), str(folder), str(stubs / major)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    assert told["version"] == request.param
    return told


def test_every_tensorrt_alias_is_used() -> None:
    assert {use.kind for use in uses()} >= set(KINDS.values())


def test_every_call_exists_in_this_tensorrt(api: dict[str, Any]) -> None:
    assert [fault for use in uses() if (fault := wrong(use, api))] == []


def wrong(use: Use, api: dict[str, Any]) -> str:
    """What is wrong with a use in this version; empty when it is fine."""
    name = f"{use.kind}.{use.member}"
    major = int(api["version"].split(".")[0])
    kind = api["kinds"].get(use.kind)
    there = kind is not None and use.member in kind
    if major in GONE.get(name, ()):
        return f"{use.where}: {name} is there again in {api['version']}" if there else ""
    if not there:
        return f"{use.where}: no {name} in {api['version']}"
    taken = kind[use.member]
    if use.arguments is None or taken is None or any(_fits(one, *use.arguments) for one in taken):
        return ""
    return f"{use.where}: {name} of {api['version']} takes {taken}, not {use.arguments}"


def _fits(signature: dict[str, Any], positional: int, named: tuple[str, ...]) -> bool:
    names = signature["names"]
    given = positional + len(named)
    return set(named) <= set(names[positional:]) and signature["least"] <= given <= len(names)
