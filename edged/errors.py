"""What can go wrong, grouped by what the daemon does about it.

EdgedError
├── ConfigError          refuse at start (exit 2); on reload keep the last good configuration
├── Retry                come back later, with back-off; everything else keeps running
│   ├── CameraLost       the camera cannot be opened, or stopped giving frames
│   └── BrokerLost       the broker cannot be reached, or refused us
├── EndOfSource          a file or folder has no more frames: not a fault
├── NotWritten           a picture or video asked for cannot be written: full disk, permissions
├── CommandRejected      a command is not executed; its sender gets the reason
├── Degrade              this frame, or this model, is given up; the loop goes on
│   ├── ModelFault       an engine gave NaN, or an output its card does not describe
│   └── OutsideImage     the part of the image that is to be looked at is not there
└── Fatal                exit non-zero; systemd restarts the unit
    ├── DeviceLost       the accelerator is gone
    └── ModelMissing     a model in use is not in the store

A message says what, got, wanted, and what to do.
"""


class EdgedError(Exception):
    """Every error this package raises on purpose: a text for people, and a `code` for programs and tests."""

    def __init__(self, text: str = "", code: str = "") -> None:
        super().__init__(text)
        self.code = code


class ConfigError(EdgedError):
    pass


class Retry(EdgedError):
    pass


class CameraLost(Retry):
    pass


class BrokerLost(Retry):
    pass


class EndOfSource(EdgedError):
    pass


class NotWritten(EdgedError):
    pass


class CommandRejected(EdgedError):
    def __init__(self, what: str, *, got: str, wanted: str, do: str) -> None:
        super().__init__(f"{what}: got {got}; want {wanted}; {do}")
        self.what = what
        self.got = got
        self.wanted = wanted
        self.do = do


class Degrade(EdgedError):
    pass


class ModelFault(Degrade):
    pass


class OutsideImage(Degrade):
    pass


class Fatal(EdgedError):
    pass


class DeviceLost(Fatal):
    pass


class ModelMissing(Fatal):
    pass
