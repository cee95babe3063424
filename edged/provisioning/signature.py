"""What this device takes as signed: OpenSSH signatures by a key that it trusts.

Upstream: `ssh-keygen -Y sign` on the integrator's machine. Downstream: settings from sticks, releases, and
messages of the fleet.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from edged.errors import NotTrusted
from edged.foreign_text import printable
from edged.provisioning.atomic_files import write_file

SIGNERS = Path("etc/edged/signers")  # OpenSSH's allowed_signers format; see ssh-keygen(1)
PRINCIPAL = "edged"  # the name of every signer in that file
STICK = "edged-provision"  # namespaces: a signature for the one is none for the other
RELEASE = "edged-release"
FLEET = "edged-fleet"
MAX_KEYS = 8  # of one `edged trust`
MAX_KEY_BYTES = 1 << 14
TIMEOUT_S = 60.0  # of ssh-keygen
_KEY = re.compile(r"((?:sk-)?(?:ssh|ecdsa)-[a-z0-9@.-]+) ([A-Za-z0-9+/]+=*)(?: .*)?")


def has_signers(root: Path) -> bool:
    """Whether this device trusts a key."""
    return bool(signers(root))


def signers(root: Path) -> list[str]:
    """The lines of the file of trusted keys, without comments."""
    path = root / SIGNERS
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    return [line for line in lines if line.strip() and not line.startswith("#")]


def signer_lines(public_keys: bytes, name: str) -> list[str]:
    """Lines for the file of trusted keys, from the text of a `.pub` file called `name`. Raises `NotTrusted`."""
    try:
        lines = [line.strip() for line in public_keys.decode("ascii").splitlines() if line.strip()]
    except UnicodeDecodeError:
        lines = []
    keys = [_KEY.fullmatch(line) for line in lines]
    if not 0 < len(keys) <= MAX_KEYS or len(public_keys) > MAX_KEY_BYTES or not all(keys):
        raise NotTrusted(f"{name}: is no public key; want the .pub file that ssh-keygen made", "no-key")
    return [f'{PRINCIPAL} namespaces="{STICK},{RELEASE},{FLEET}" {key[1]} {key[2]}' for key in keys if key]


def trust(lines: Iterable[str], root: Path) -> list[str]:
    """Add these lines to the file of trusted keys; returns those that are new. Raises OSError."""
    before = signers(root)
    new = [line for line in dict.fromkeys(lines) if line not in before]
    if new:
        heading = "# Keys whose signatures this device takes; see ssh-keygen(1), ALLOWED SIGNERS."
        write_file(root / SIGNERS, "\n".join([heading, *before, *new, ""]), 0o644)
    return new


def verify(data: bytes, signature: bytes, lines: Iterable[str], namespace: str, name: str) -> str:
    """The fingerprint of the key that signed `data`, called `name`. Raises `NotTrusted` for anything else."""
    with TemporaryDirectory() as folder:
        keys, signed = Path(folder) / "signers", Path(folder) / "signature"
        keys.write_text("".join(f"{line}\n" for line in lines))
        signed.write_bytes(signature)
        files = ["-f", str(keys), "-s", str(signed)]
        done = _ssh_keygen(["-Y", "verify", *files, "-I", PRINCIPAL, "-n", namespace], data)
    if done.returncode:
        reason = printable(done.stderr.decode(errors="replace").partition("\n")[0] or "unknown key")
        raise NotTrusted(
            f"{name}: its signature is not by a key of this device ({reason}); sign it again: "
            f"ssh-keygen -Y sign -f KEY -n {namespace} {name}",
            "bad-signature",
        )
    found = re.search(r"SHA256:\S+", done.stdout.decode(errors="replace"))
    return found[0] if found else ""


def sign(data: bytes, key: Path, namespace: str) -> str:
    """A signature by this key, or by that of a token or agent whose public half it is. Raises `NotTrusted`."""
    done = _ssh_keygen(["-q", "-Y", "sign", "-f", str(key), "-n", namespace], data)
    if done.returncode:
        raise NotTrusted(f"{key}: cannot sign ({printable(done.stderr.decode(errors='replace').strip())})", "no-key")
    return done.stdout.decode("ascii")


def depends_on_time(lines: Iterable[str]) -> bool:
    """Whether one of these keys is trusted only from or until a time, which a clock that is not set cannot tell."""
    return any(re.search(r"valid-(after|before)=", line) for line in lines)


def fingerprint(line: str) -> str:
    """How people compare keys, `SHA256:…`; the line itself where ssh-keygen does not read it."""
    key = line.partition('" ')[2] or line.partition(" ")[2]
    done = _ssh_keygen(["-l", "-f", "-"], f"{key}\n".encode())
    found = re.search(r"SHA256:\S+", done.stdout.decode(errors="replace"))
    return found[0] if found else printable(line)


def _ssh_keygen(words: list[str], data: bytes) -> subprocess.CompletedProcess[bytes]:
    command = ["ssh-keygen", *words]
    try:
        return subprocess.run(command, input=data, capture_output=True, check=False, timeout=TIMEOUT_S)  # noqa: S603
    except FileNotFoundError as exc:
        raise NotTrusted("ssh-keygen is missing: signatures cannot be checked; apt-get install openssh-client") from exc
