"""One file that configures a device: its secrets become credentials, the rest configuration.

The file is a configuration like any other; certificates and keys may be in it as text.
Upstream: `edged provision`. Downstream: /etc/edged, and systemd, which passes the credentials to the daemon.
"""

from __future__ import annotations

import hashlib
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edged.config.layers import Layer, bytes_layer, file_layer, read_bytes, site_files
from edged.config.load import CREDENTIALS_DIR
from edged.config.messages import Layers
from edged.config.schema import node_at
from edged.config.toml_lines import Key
from edged.config.toml_text import dotted, dump
from edged.errors import ConfigError, NotWritten
from edged.provisioning.atomic_files import FileContent, Files, finish, load, replace_all, save, write_file
from edged.secret_address import is_address, redact_value

ETC = Path("etc/edged")
UNIT = Path("etc/systemd/system/edged.service.d")
SETTINGS_FILE = "50-box.toml"  # in conf.d: overrides edged.toml; a technician's 90-….toml overrides it
DROP_IN = "50-credentials.conf"
PEM = "-----BEGIN "
PEM_KEYS = {  # stored as text, not as a path; `*` stands for any camera
    *(("mqtt", "tls", name) for name in ("ca", "cert", "key")),
    *(("panel", name) for name in ("cert", "key")),
    ("cameras", "*", "ca"),
}
MAX_PEM_BYTES = 1 << 16  # bytes of a certificate file
MAX_NAME_CHARS = 200  # of a file that is checked
PENDING = ETC / "provisioned" / "ready.json"  # being put in place; a unit looks for it at boot
SNAPSHOT = ETC / "provisioned" / "before.json"  # what the daemon was last seen to run with
APPLIED = ETC / "provisioned" / "applied"  # digests of files from sticks
FAILED = ETC / "provisioned" / "failed"  # the daemon did not start with the first settings
MAX_APPLIED = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """The content of one file."""

    layer: Layer  # the whole file
    settings: dict[str, Any]  # without the secrets
    credentials: dict[Key, str]
    digest: str  # of the file with its comments, and of the PEM files it names


def read_bundle(file: Path) -> Bundle:
    """The bundle of a file and of the PEM files beside it, not yet validated. Raises `ConfigError`."""
    return _bundle(str(file), read_bytes(file), file.parent)


def bundle_from(name: str, data: bytes) -> Bundle:
    """The bundle of a file that was read already; its certificates are in it as text. Raises `ConfigError`."""
    return _bundle(name, data, None)


def _bundle(name: str, data: bytes, folder: Path | None) -> Bundle:
    layer = bytes_layer(name, data)
    credentials: dict[Key, str] = {}
    settings = _split_secrets(layer, layer.values, (), credentials, folder)
    whole = hashlib.sha256(data + repr(sorted(credentials.items())).encode())
    return Bundle(layer=layer, settings=settings, credentials=credentials, digest=whole.hexdigest())


def _split_secrets(
    layer: Layer, values: Mapping[str, Any], above: Key, found: dict[Key, str], folder: Path | None
) -> dict[str, Any]:
    public = {}
    for name, value in values.items():
        key = (*above, name)
        if isinstance(value, Mapping):
            public[name] = _split_secrets(layer, value, key, found, folder)
        elif isinstance(value, str) and (secret := _secret_value(layer, key, value, folder)) is not None:
            found |= {key: secret} if secret else {}
        else:
            public[name] = value
    return public


def _secret_value(layer: Layer, key: Key, value: str, folder: Path | None) -> str | None:
    """The value if it is a secret: a password, the address of a network camera, a key or certificate; else None."""
    if _is_pem(key):
        return value.lstrip() if value.lstrip().startswith(PEM) else _read_pem(layer, key, value, folder)
    here = node_at(key)
    return value if (here and here.is_secret) or is_address(value) or redact_value(value) != value else None


def _is_pem(key: Key) -> bool:
    return key in PEM_KEYS or (*key[:1], "*", *key[2:]) in PEM_KEYS


def _read_pem(layer: Layer, key: Key, name: str, folder: Path | None) -> str:
    """The text of a PEM file in the folder of the bundle."""
    if folder is None:
        raise ConfigError(f"{layer.where(key)} {dotted(key)}: is a path; on a stick, give the PEM text here", "no-pem")
    path = folder / name
    try:
        with path.open(encoding="ascii") as file:
            text = file.read(MAX_PEM_BYTES)
        if PEM not in text:
            raise ConfigError(f"{layer.where(key)} {dotted(key)}: {path}: is no PEM text; name a certificate", "no-pem")
    except (OSError, UnicodeDecodeError) as exc:
        reason = getattr(exc, "strerror", None) or "is no PEM text"
        wanted = f"give the PEM text, or a path relative to {layer.name}"
        raise ConfigError(f"{layer.where(key)} {dotted(key)}: {path}: {reason}; {wanted}", "no-pem") from exc
    return text


def bundle_layers(bundle: Bundle, root: Path, folder: Path) -> Layers:
    """The layers of /etc/edged after the installation, to validate them before it.

    Certificates are written to `folder`, to be checked there.
    """
    values: Mapping[str, Any] = bundle.layer.values
    for key in filter(_is_pem, bundle.credentials):
        name = re.sub("[^A-Za-z0-9._-]", "_", dotted(key))  # a camera's name is not checked yet
        path = folder / name[:MAX_NAME_CHARS]
        path.write_text(bundle.credentials[key])
        values = _with_value(values, key, str(path))
    sites = {path.name: file_layer(path) for path in site_files(root / ETC)}
    base = [layer for name, layer in sites.items() if name == "edged.toml"]
    rest = {name: layer for name, layer in sites.items() if name != "edged.toml"}
    rest[SETTINGS_FILE] = replace(bundle.layer, values=dict(values))
    return Layers((*base, *(rest[name] for name in sorted(rest))))


def _with_value(values: Mapping[str, Any], key: Key, value: str) -> dict[str, Any]:
    """A copy of the values with this one replaced."""
    first, *rest = key
    return {**values, str(first): _with_value(values[str(first)], tuple(rest), value) if rest else value}


def install(bundle: Bundle, root: Path) -> list[Path]:
    """The written files; those of an earlier bundle are removed. After a power cut, `finish_pending` completes it.

    Raises `NotWritten`.
    """
    with _translate_os_errors():
        finish(root, root / PENDING)
        wanted = bundle_files(bundle)
        _replace(wanted, root)
        return [root / name for name in wanted]


def finish_pending(root: Path) -> bool:
    """Finish an interrupted installation; False: there was none. Raises `NotWritten`."""
    with _translate_os_errors():
        return finish(root, root / PENDING)


def snapshot(root: Path) -> None:
    """Save the installed files, which work, for `rollback`. Raises `NotWritten`."""
    with _translate_os_errors():
        finish(root, root / PENDING)
        save(installed_files(root), root / SNAPSHOT)


def rollback(root: Path) -> bool:
    """Restore the files of the last `snapshot`; False: there is none. Raises `NotWritten`."""
    with _translate_os_errors():
        before = load(root / SNAPSHOT)
        if before is not None:
            _replace(before, root)
        return before is not None


def is_provisioned(root: Path) -> bool:
    """Whether this device has settings that are not those of a first stick with which the daemon did not start."""
    files = [path.name for path in site_files(root / ETC)]
    return bool(files) and not (files == [SETTINGS_FILE] and (root / FAILED).exists())


def note_start(root: Path, *, failed: bool) -> None:
    """Remember, for `is_provisioned`, whether the daemon started with the installed settings. Raises `NotWritten`."""
    with _translate_os_errors():
        if failed:
            write_file(root / FAILED, "", 0o600)
        else:
            (root / FAILED).unlink(missing_ok=True)


def was_applied(bundle: Bundle, root: Path) -> bool:
    """Whether a file with this digest was applied on this device."""
    path = root / APPLIED
    return path.exists() and bundle.digest in path.read_text().split()


def mark_applied(bundle: Bundle, root: Path) -> None:
    """Remember the bundle for `was_applied`. Raises `NotWritten`."""
    with _translate_os_errors():
        path = root / APPLIED
        before = path.read_text().split() if path.exists() else []
        write_file(path, "".join(f"{digest}\n" for digest in [*before, bundle.digest][-MAX_APPLIED:]), 0o600)


@contextmanager
def _translate_os_errors() -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        do = "run it as root, on a disk with free space that is not mounted read-only"
        raise NotWritten(f"{exc.filename}: {exc.strerror}; {do}", "unwritable") from exc


def _replace(wanted: Files, root: Path) -> None:
    for folder in (root / ETC / CREDENTIALS_DIR, root / PENDING.parent):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
    replace_all(wanted, installed_files(root).keys() - wanted.keys(), root, root / PENDING)


def bundle_files(bundle: Bundle) -> Files:
    """The settings, each secret, and the drop-in that passes the secrets to the daemon."""
    return {
        str(ETC / "conf.d" / SETTINGS_FILE): FileContent(text=_settings(bundle), mode=0o644),
        **{
            str(ETC / CREDENTIALS_DIR / dotted(key)): FileContent(text=f"{secret}\n", mode=0o600)
            for key, secret in sorted(bundle.credentials.items())
        },
        str(UNIT / DROP_IN): FileContent(text=_drop_in(bundle), mode=0o644),
    }


def installed_files(root: Path) -> Files:
    """Those of these files that exist now: of the credentials, those that an earlier bundle named in its drop-in."""
    drop_in = root / UNIT / DROP_IN
    lines = drop_in.read_text().splitlines() if drop_in.is_file() else []
    names = [line.removeprefix("LoadCredential=").partition(":")[0] for line in lines if "=" in line]
    own = (
        root / ETC / "conf.d" / SETTINGS_FILE,
        *(root / ETC / CREDENTIALS_DIR / name for name in sorted(names)),
        drop_in,
    )
    return {
        str(path.relative_to(root)): FileContent(
            text=path.read_text(errors="surrogateescape"), mode=stat.S_IMODE(path.stat().st_mode)
        )
        for path in own
        if path.is_file()
    }


def _settings(bundle: Bundle) -> str:
    name = Path(bundle.layer.name).name
    return (
        f"# Made from {name} by `edged provision`, which replaces it whole. Changes of your own belong in a file that\n"
        f"# comes later, like 90-local.toml. Passwords, certificates and keys are in ../{CREDENTIALS_DIR}.\n\n"
        f"{dump(bundle.settings)}"
    )


def _drop_in(bundle: Bundle) -> str:
    """LoadCredential= reads them as root and passes them to the daemon alone. Source: systemd.exec(5)."""
    names = sorted(dotted(key) for key in bundle.credentials)
    lines = (f"LoadCredential={name}:/{ETC / CREDENTIALS_DIR / name}\n" for name in names)
    return "# Made by `edged provision`.\n[Service]\n" + "".join(lines)
