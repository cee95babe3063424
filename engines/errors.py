"""EngineError
├── CardError       a catalogue card is not valid, or does not describe its ONNX file
├── Missing         a model is not in the store
├── StoreError      the store cannot be written: disk full, permissions
├── SourceError     a model could not be fetched
│   └── WrongHash   what was fetched, or what is stored, is not what the card pins
├── NoTensorRT      TensorRT is not installed here, or too old
├── BuildFailed     TensorRT made no engine of a model; says why
│   └── Cancelled   because it was told to stop
└── PlanRefused     an engine is there, and is not fit to be used; says why
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
