"""Certificates made by openssl, for brokers and clients of tests."""

from __future__ import annotations

import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout")


def openssl(*args: str, at: Path) -> None:
    subprocess.run(["openssl", *args], cwd=at, check=True, capture_output=True, timeout=60)


def sign(name: str, at: Path, extension: str, *, days: int = 2) -> None:
    """A key pair for `name`, signed by ca.pem."""
    (at / "ext").write_text(extension)
    openssl("req", *NEW_KEY, f"{name}.key", "-out", "csr", "-subj", f"/CN={name}", at=at)
    signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "ext", "-out", f"{name}.pem")
    openssl("x509", "-req", "-in", "csr", "-days", str(days), *signed, at=at)


def new_ca(at: Path) -> Path:
    """ca.pem and ca.key of a new authority."""
    openssl("req", "-x509", *NEW_KEY, "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=an authority", at=at)
    return at / "ca.pem"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def https_server(folder: Path, certs: Path, name: str = "mirror") -> Iterator[str]:
    """The address of a server of this folder on loopback, with NAME.pem and NAME.key of `certs`."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certs / f"{name}.pem", certs / f"{name}.key")
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"https://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join(60)
