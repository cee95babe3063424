"""EngineError
├── CardError       a catalogue card is not valid, or does not describe its ONNX file
├── Missing         a model is not in the store
├── StoreError      the store cannot be written: disk full, permissions
├── SourceError     a model could not be downloaded
│   └── WrongHash   the hash differs from the one in the card
├── NoTensorRT      TensorRT is not installed here, or too old
├── BuildFailed     TensorRT built no engine; the text says why
│   └── Cancelled   the build was cancelled
└── PlanRefused     a stored engine must not be used; the text says why
"""


class EngineError(Exception):
    """Every error this package raises on purpose."""


class CardError(EngineError):
    pass


class Missing(EngineError):
    pass


class StoreError(EngineError):
    pass


class SourceError(EngineError):
    pass


class WrongHash(SourceError):
    pass


class NoTensorRT(EngineError):
    pass


class BuildFailed(EngineError):
    pass


class Cancelled(BuildFailed):
    pass


class PlanRefused(EngineError):
    pass
