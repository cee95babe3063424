"""The error of a part that cannot be measured on this machine."""

from __future__ import annotations


class Unavailable(SystemExit):
    """Why a part cannot be measured here; uncaught, it ends the tool with this message."""
