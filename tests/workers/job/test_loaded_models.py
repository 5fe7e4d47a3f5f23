"""Which models an engine gives up, and which it tries again."""

from typing import Any

import pytest
import torch

from certifier import loading
from contract.choices import ProblemCode
from models.backends import BackendError
from workers.failures import JobFailure
from workers.job.loaded_models import LoadedModels, find_models
from workers.settings import WorkerSettings

MODEL = "fashion-mnist-gaussian"


def ready(models: LoadedModels) -> bool:
    return next(model.ready for model in models.catalogue() if model.name == MODEL)


@pytest.mark.parametrize("transient", [True, False])
def test_a_device_that_was_full_is_tried_again(monkeypatch: pytest.MonkeyPatch, transient: bool) -> None:
    """What the compiled backend raises when the device is full, which is not the model's fault."""
    models = find_models(WorkerSettings(device="cpu", backend="eager"))

    def full(*_: Any, **__: Any) -> None:
        cause = torch.OutOfMemoryError("no room") if transient else RuntimeError("cannot be traced")
        raise BackendError("'module' must be one that PyTorch can compile") from cause

    with monkeypatch.context() as patched:
        patched.setattr(loading, "prepare", full)
        with pytest.raises(JobFailure) as failed:
            models.load(MODEL)
    code = ProblemCode.OUT_OF_MEMORY if transient else ProblemCode.MODEL_LOAD_FAILED
    assert failed.value.code is code
    assert ready(models) is transient
    if transient:
        assert models.load(MODEL).card.name == MODEL
    else:
        with pytest.raises(JobFailure, match="PyTorch can compile"):
            models.load(MODEL)
