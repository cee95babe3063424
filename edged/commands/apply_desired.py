"""`edged update --desired FILE`: the version that the fleet wants, as root; the daemon only hands over the message.

Nothing of the file is believed before its signature holds: it comes from the daemon, which is not privileged. The
number and content of the last message are kept here too, so that an older one brings no older version back.
"""

from __future__ import annotations

import hashlib
import os
import stat
from contextlib import redirect_stdout, suppress
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from edged.commands.update import INCOMING, install_by_unit, stage
from edged.config.load import load
from edged.config.tree import Config
from edged.errors import EdgedError, NotTrusted
from edged.foreign_text import printable
from edged.messages.bus import MAX_REQUEST_BYTES
from edged.provisioning.desired import Desired, number_of, unseal
from edged.provisioning.signature import signers
from edged.runtime.json_state import JsonState
from engines.errors import EngineError

STATE = Path("/var/lib/edged-fleet")  # of root; the daemon may read it
MAX_ERROR_CHARS = 400


def apply_desired(file: Path) -> int:
    """0: the version is in use or being started; 1: refused, or it does not start. The result is left in STATE.

    Raises `NotTrusted` when there is no such file.
    """
    message = _take(file)
    told = StringIO()
    code, error = 1, ""
    try:
        with redirect_stdout(told):
            code = _install(message)
    except (EdgedError, EngineError, OSError) as exc:  # OSError: a full disk
        error = str(exc)
    print(told.getvalue() + error)
    if code:
        error = error or told.getvalue().strip()
        result = {"number": number_of(message), "error": printable(error, MAX_ERROR_CHARS)}
        JsonState(STATE / "result.json", "results").write(result)
    return code


def _install(message: bytes) -> int:
    """Raises `NotTrusted` for a message that is not for this device, or older than one before; what `stage` raises."""
    config = load(None)
    desired = _desired(message, config)
    source = config.update.source
    if source is None:
        raise NotTrusted("update.source is not set: there is nowhere to take a release from; set it", "no-source")
    with TemporaryDirectory(dir=INCOMING) as folder:
        if not stage(source, Path(folder), allow_older=True, wanted=desired.version):
            return 1
        code, said = install_by_unit(Path(folder), allow_older=True)
        print(said, end="")
    return code


def _desired(message: bytes, config: Config) -> Desired:
    desired = unseal(message, signers(Path("/")))
    if desired.group != config.fleet.group:
        raise NotTrusted(f"message {desired.number} is for the group {desired.group}, not {config.fleet.group}")
    if desired.version is None:
        raise NotTrusted(f"message {desired.number} wants no version")
    _remember(desired)
    return desired


def _remember(desired: Desired) -> None:
    """Write down what is followed. Raises `NotTrusted` for an older message, and for a number that was used before.

    The same message again is no other one: a power cut may have ended the first try.
    """
    file = JsonState(STATE / "numbers.json", "numbers of the fleet's messages")
    kept: dict[str, tuple[int, str]] = file.read(_parse, {})
    number, digest = kept.get(desired.group, (0, ""))
    own = hashlib.sha256(desired.model_dump_json().encode()).hexdigest()
    if desired.number < number:
        raise NotTrusted(f"message {desired.number} is older than {number}, which was followed before")
    if desired.number == number and digest not in ("", own):
        wanted = "want a number of its own; publish it again with edged rollout"
        raise NotTrusted(f"message {number}: another message with this number was followed before; {wanted}")
    file.write({**kept, desired.group: (desired.number, own)})


def _parse(table: Any) -> dict[str, tuple[int, str]]:
    """By group: number, and digest of the content; earlier versions wrote the number alone."""
    pairs = ((group, kept if isinstance(kept, list) else (kept, "")) for group, kept in table.items())
    return {str(group): (int(number), str(digest)) for group, (number, digest) in pairs}


def _take(path: Path) -> bytes:
    """The file, which is then removed: else the unit would run again and again. A link is not followed."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as exc:
        raise NotTrusted(f"{path}: {exc.strerror}; want the message of a fleet", "no-file") from exc
    finally:
        with suppress(IsADirectoryError, PermissionError):  # which a folder is; the unit fails at it
            path.unlink(missing_ok=True)
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise NotTrusted(f"{path}: is no plain file", "no-file")
        return os.read(file, MAX_REQUEST_BYTES + 1)
    finally:
        os.close(file)
