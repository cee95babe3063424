"""Configuration from files, environment and credentials: loaded, explained, printed.

`load` is what the daemon calls; the rest serves `edged check`, `edged config` and reloads.
"""

from edged.configfile.crosscheck import load_checked
from edged.configfile.given import camera_from_source
from edged.configfile.loading import load
from edged.configfile.text import changed_keys

__all__ = ["camera_from_source", "changed_keys", "load", "load_checked"]
