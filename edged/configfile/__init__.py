"""Configuration from files, environment and credentials: loaded, explained, printed.

`load` is what the daemon calls; the rest serves `edged check`, `edged config` and reloads.
"""

from edged.configfile.crosscheck import load_consistent
from edged.configfile.given import camera_at
from edged.configfile.loading import load
from edged.configfile.text import changes

__all__ = ["camera_at", "changes", "load", "load_consistent"]
