"""Checks of `edged doctor`: the models in use."""

from __future__ import annotations

import time
from collections.abc import Iterator
from importlib import import_module

from edged.config.tables.models import ModelsConfig
from edged.config.tree import Config
from edged.device.check_result import CheckResult, failed, passed
from edged.device.doctor_software import INSTALL_LIBRARIES
from edged.errors import ConfigError, DeviceLost, EdgedError
from engines.catalogue import load
from engines.errors import CardError, EngineError, StoreError
from engines.store.model_store import ModelStore


def model_results(config: Config) -> Iterator[CheckResult]:
    """Every model in use is in the store, is what its card says, and loads."""
    models = config.models_in_use
    results = [_model(name, models) for name in dict.fromkeys(models.card_names)]
    yield from results
    if all(result.ok for result in results):
        try:
            yield _loaded(config)
        except (EngineError, EdgedError, ImportError) as error:
            yield failed("models load", str(error), _cure_of_loading(error))


def _model(name: str, models: ModelsConfig) -> CheckResult:
    try:
        card = load(models.catalogue).get(name)
        if card is None:
            return failed(f"model {name}", "no such card", "edged models list")
        model = ModelStore(models.store, models.mirror).verify(card)
    except EngineError as error:
        return failed(f"model {name}", str(error), _cure_of_model(name, error))
    trial = "; starter weights, for trials; for work: edged models recommend" if card.source.bundled else ""
    return passed(f"model {name}", f"{model.path}, sha256 {model.sha256[:12]}{trial}")


def _cure_of_model(name: str, error: EngineError) -> str:
    """What helps depends on whether the file, its card or the folder is at fault."""
    if isinstance(error, CardError):
        return f"correct the card of {name} in models.catalogue, or name another model"
    if isinstance(error, StoreError):
        return "correct models.store, or give this user the right to read and write it"
    return f"edged models pull {name}"


def _cure_of_loading(error: Exception) -> str:
    """What helps when every model is in the store and they do not load together."""
    if isinstance(error, ConfigError):
        return "correct [models] or [compute]"
    if isinstance(error, ImportError):
        return INSTALL_LIBRARIES
    if isinstance(error, DeviceLost):
        return 'reboot; until then, compute.backend = "cpu" runs without the GPU'
    return "edged models verify"


def _loaded(config: Config) -> CheckResult:
    start_s = time.monotonic()
    import_module("edged.inference.load_models").load_models(config.models_in_use, config.compute).backend.close()
    return passed("models load", f"in {time.monotonic() - start_s:.1f} s")
