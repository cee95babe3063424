"""Wheelhouses for tests, made by the product's own script and kept from run to run; the product's own wheel is new."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
DEPLOY = REPOSITORY / "deploy"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "edged-tests"
FETCH_S = 600


def run(*command: str | Path, limit_s: float = 300) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=limit_s, errors="replace")
    assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


def fetched(architecture: str, python: str) -> Path:
    """What the index has, for plain Linux; again only when what it is made from has changed."""
    made_from = (REPOSITORY / "pyproject.toml").read_bytes() + (DEPLOY / "wheelhouse.sh").read_bytes()
    place = CACHE / f"wheels-{architecture}-{python}-{hashlib.sha256(made_from).hexdigest()[:12]}"
    if not (place / "SHA256SUMS").exists():
        run(DEPLOY / "wheelhouse.sh", place, "plain", architecture, python, limit_s=FETCH_S)
    return place


def wheelhouse(folder: Path, others: Path, version: str, *, broken: bool = False) -> Path:
    """With the product as it is here, under that version; `broken`: its daemon ends at once."""
    source, house = folder / f"source-{version}", folder / f"wheels-{version}"
    shutil.copytree(others, house, ignore=shutil.ignore_patterns("edged-*", "SHA256SUMS"))
    for name in ("edged", "engines", "deploy"):
        shutil.copytree(REPOSITORY / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.fatbin"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(REPOSITORY / name, source)
    (source / "edged" / "__init__.py").write_text(f'__version__ = "{version}"\n')
    if broken:
        (source / "edged" / "app.py").write_text('raise SystemExit("this version is broken")\n')
    run("env", "NVCC=no", sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", house, source)
    (house / "SHA256SUMS").write_text(run("sh", "-c", f"cd {house} && sha256sum *.whl *.txt"))
    return house
