"""Tasks as the API makes them, from flat fields."""

from typing import Any

from contract.choices import JobKind, NoiseLevel
from contract.requests import CertifyRequest, PredictRequest
from contract.tasks import CertifyTask, PredictTask, Resolved, Task

_JOB: dict[str, Any] = {
    "job_id": "1" * 32, "model": "toy", "model_digest": "d" * 64, "image_digest": "a" * 64,
    "upload_digest": "b" * 64,
}  # fmt: skip
_RESOLVED: dict[str, Any] = {
    "noise_level": NoiseLevel.FIXED, "sigma": 0.5, "sigma_uniform": 0.5, "sigma_grid": [], "adapt": False,
    "momentum": 1.0, "clean_size": 0, "n": 1000, "label": None, "memory": None, "seed": "0" * 32,
}  # fmt: skip


def certify_task(**fields: Any) -> CertifyTask:
    """A certification; each field goes where it belongs, and the rest has a default."""
    task = _task(JobKind.CERTIFY, fields)
    assert isinstance(task, CertifyTask)
    return task


def predict_task(**fields: Any) -> PredictTask:
    """A prediction; each field goes where it belongs, and the rest has a default."""
    task = _task(JobKind.PREDICT, fields)
    assert isinstance(task, PredictTask)
    return task


def _task(kind: JobKind, fields: dict[str, Any]) -> Task:
    request, task = (
        (CertifyRequest, CertifyTask) if kind is JobKind.CERTIFY else (PredictRequest, PredictTask)
    )
    about, asked, resolved = dict(_JOB), {}, dict(_RESOLVED)
    for name, value in fields.items():
        if name in Resolved.model_fields:
            resolved[name] = value
        elif name in request.model_fields and name not in task.model_fields:
            asked[name] = value
        else:
            about[name] = value
    return task.model_validate(about | {"question": {"asked": asked, "resolved": resolved}})
