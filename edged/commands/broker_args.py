"""The arguments of `watch` and `send` that name the broker."""

from __future__ import annotations

import argparse
from pathlib import Path

from pydantic import SecretStr

from edged.config.characters import decode_secret
from edged.config.load import config_from_options
from edged.config.tables.mqtt import MqttConfig
from edged.config.toml_lines import Key
from edged.errors import ConfigError

OPTIONS = {"password": "--password-file", "hosts": "--host"}  # by key, where they differ


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, metavar="FILE", help="take the broker from this configuration")
    parser.add_argument("--host", help="broker (127.0.0.1)")
    parser.add_argument("--port", type=int, help="its port (1883)")
    parser.add_argument("--base-topic", help="first topic levels (edged)")
    parser.add_argument("--username")
    parser.add_argument("--password-file", type=Path, metavar="FILE", help="file with the password, on one line")
    parser.add_argument("--tls", action="store_true", help="use TLS")
    parser.add_argument("--ca", type=Path, metavar="FILE", help="CA certificate, with --tls (default: the system's)")


def broker_config(args: argparse.Namespace, default: MqttConfig) -> MqttConfig:
    """The configured broker, overridden by the command line. Raises ConfigError."""
    given = {
        key: value for key in ("host", "port", "base_topic", "username") if (value := getattr(args, key)) is not None
    }
    if "host" in given:
        given["hosts"] = ()
    if args.password_file is not None:
        given["password"] = SecretStr(_password(args.password_file))
    if args.tls or args.ca:
        given["tls"] = {**default.tls.model_dump(), "enabled": True, **({"ca": args.ca} if args.ca else {})}
    options: dict[Key, str] = {("mqtt", key): OPTIONS.get(key, f"--{key.replace('_', '-')}") for key in given}
    return config_from_options({"mqtt": default.model_dump() | given}, options).mqtt


def _password(path: Path) -> str:
    try:
        return decode_secret(path.read_bytes(), f"--password-file {path}")
    except OSError as exc:
        raise ConfigError(f"--password-file {path}: {exc.strerror}; want a file this user can read") from exc
