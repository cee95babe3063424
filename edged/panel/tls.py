"""The page's certificate: its own, else the box's. Needs no web server: `edged check` asks too."""

from __future__ import annotations

import ssl
from pathlib import Path

from edged.config.tree import Config
from edged.errors import ConfigError


def certificate_of(config: Config) -> tuple[Path, Path] | None:
    """The files of certificate and key; None: there are none."""
    for cert, key in ((config.panel.cert, config.panel.key), (config.mqtt.tls.cert, config.mqtt.tls.key)):
        if cert is not None and key is not None:
            return cert, key
    return None


def page_context(config: Config) -> ssl.SSLContext | None:
    """None: plain HTTP, for this machine alone. Raises ConfigError with the name of the file that cannot be used."""
    if config.panel.is_local and config.panel.cert is None:
        return None
    files = certificate_of(config)
    if files is None:
        text = f"panel.host = {config.panel.host}: no certificate, and the token would go in clear text"
        raise ConfigError(f"{text}; give panel.cert and panel.key, or listen on 127.0.0.1", "panel-tls")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(*files, password="")
    except OSError as exc:
        text = f"the page's certificate {files[0]}, key {files[1]}: {exc.strerror or exc}; want a PEM pair"
        raise ConfigError(f"{text} that belongs together, without a pass phrase, that this user can read") from exc
    return context
