"""Errors, grouped by what the daemon does about them.

EdgedError
├── ConfigError          refuse at start (exit 2); on reload keep the last good configuration
├── Retry                come back later, with back-off; everything else keeps running
│   ├── CameraLost       a camera cannot be opened, or gives no frames any more
│   └── BrokerLost       the broker cannot be reached, or refuses the connection
├── EndOfSource          a file or folder has no more frames: not a fault
├── NotWritten           a picture or video cannot be written: full disk, permissions
├── NotTrusted           a stick or a release has no signature by a key of this device
├── CommandRejected      a command is not executed; its sender gets the reason
│   └── LoopEnded        the daemon ends, or another one follows it
├── Degrade              this frame fails; the loop goes on
│   ├── ModelFault       an output is NaN, or not what the model's card describes
│   └── OutsideImage     the configured region lies outside the image
└── Fatal                exit non-zero; systemd restarts the unit
    ├── DeviceLost       the accelerator is gone
    ├── ThreadDied       a thread that the daemon needs fails again and again
    ├── StateInUse       another daemon holds the state directory
    └── ModelMissing     a configured model is not in the store

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


class NotTrusted(EdgedError):
    pass


class CommandRejected(EdgedError):
    def __init__(self, what: str, *, got: str, wanted: str, do: str) -> None:
        super().__init__(f"{what}: got {got}; want {wanted}; {do}")
        self.what = what
        self.got = got
        self.wanted = wanted
        self.do = do


class LoopEnded(CommandRejected):
    def __init__(self) -> None:
        super().__init__("daemon", got="its end or restart", wanted="a running one", do="send it again in a while")


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


class ThreadDied(Fatal):
    pass


class StateInUse(Fatal):
    pass


class ModelMissing(Fatal):
    pass
