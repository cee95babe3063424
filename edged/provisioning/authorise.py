"""Whether this device takes the settings of a stick: the first ones, and then only signed ones."""

from __future__ import annotations

from pathlib import Path

from edged.errors import NotTrusted
from edged.provisioning.bundle import is_provisioned
from edged.provisioning.signature import SIGNERS, STICK, signer_lines, signers, verify
from edged.provisioning.stick import PUBLIC_KEY, SETTINGS, SIGNATURE, StickFiles

HOW_TO_SIGN = f"sign it with the site's key: ssh-keygen -Y sign -f KEY -n {STICK} {SETTINGS}"


def authorise(files: StickFiles, root: Path) -> list[str]:
    """The lines of the keys that come with first settings; empty when this device has keys, or gets none.

    Raises `NotTrusted`: the stick must not be applied.
    """
    settings = files.settings or b""
    if known := signers(root):
        verify(settings, _signature(files), known, STICK, SETTINGS)
        return []
    if is_provisioned(root):
        raise NotTrusted(
            f"this device has settings and no key (/{SIGNERS}): it takes no stick. To have it take signed ones, run on "
            "it, as root: edged trust KEY.pub; or apply this file by hand: edged provision FILE",
            "no-key",
        )
    if files.public_key is None:
        return []
    keys = signer_lines(files.public_key, PUBLIC_KEY)
    verify(settings, _signature(files), keys, STICK, SETTINGS)
    return keys


def _signature(files: StickFiles) -> bytes:
    if files.signature is None:
        raise NotTrusted(f"{SETTINGS} is not signed: no {SIGNATURE} beside it; {HOW_TO_SIGN}", "not-signed")
    return files.signature
