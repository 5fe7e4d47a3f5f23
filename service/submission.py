"""From a request to a task on the queue, with every default filled in."""

import secrets
from datetime import UTC, datetime
from typing import Any, Final

from pydantic_core import PydanticCustomError

from contract.choices import JobKind, ProblemCode
from contract.jobs import Submission
from contract.models import ModelInfo
from contract.requests import CertifyRequest, PredictRequest, require_enough_samples
from contract.tasks import CertifyTask, PredictTask
from service import job_queue
from service.catalogue import read_catalogue
from service.field_messages import shorten
from service.images import fit_image
from service.problems import refusal
from service.resources import Resources

_PREDICT_SAMPLES: Final = 1000  # a label needs far fewer votes than a radius


def submit(resources: Resources, request: CertifyRequest | PredictRequest, upload: bytes) -> str:
    """Checks a request against its model and its image, enqueues it and returns the job's id.

    Raises:
        ProblemError: The model, the image or a field is refused.
    """
    model = read_catalogue(resources.redis, resources.settings.default_model).resolve(request.model)
    fields = _resolve(request, model)
    image = fit_image(upload, model, request.fit)
    fields |= {"image_digest": image.digest, "upload_digest": image.upload_digest}
    task = _task(request, fields)
    record = Submission(
        job_id=task.job_id,
        kind=JobKind.CERTIFY if isinstance(task, CertifyTask) else JobKind.PREDICT,
        model=model.name,
        created_at=datetime.now(UTC),
    )
    job_queue.submit(resources.redis, record, task, image.pixels)
    return task.job_id


def _task(request: CertifyRequest | PredictRequest, fields: dict[str, Any]) -> CertifyTask | PredictTask:
    if isinstance(request, PredictRequest):
        return PredictTask(**fields)
    return CertifyTask(**fields, noise_level=request.noise_level, n0=request.n0, bound=request.bound)


def _resolve(request: CertifyRequest | PredictRequest, model: ModelInfo) -> dict[str, Any]:
    return {
        "job_id": secrets.token_hex(16),
        "model": model.name,
        "model_digest": model.digest,
        "noise": request.noise,
        "sigma": _sigma(request, model),
        "n": _samples(request, model),
        "alpha": request.alpha,
        "label": _label(request, model),
        "seed": (request.seed or secrets.token_hex(16)).zfill(32),
    }


def _sigma(request: CertifyRequest | PredictRequest, model: ModelInfo) -> float:
    sigma = model.sigma if request.sigma is None else request.sigma
    if sigma is None:
        detail = f"'sigma' is required: the model '{model.name}' recommends none"
        raise refusal(ProblemCode.INVALID_FIELD, detail, pointer="/sigma")
    return sigma


def _samples(request: CertifyRequest | PredictRequest, model: ModelInfo) -> int:
    if request.n is not None:
        return request.n
    n = min(model.n, _PREDICT_SAMPLES) if isinstance(request, PredictRequest) else model.n
    try:
        require_enough_samples(n, request.alpha, request.least_samples)
    except PydanticCustomError as error:
        raise refusal(ProblemCode.TOO_FEW_SAMPLES, error.message(), pointer="/n") from None
    return n


def _label(request: CertifyRequest | PredictRequest, model: ModelInfo) -> int | None:
    """A name wins over an index, since digits may be names."""
    label = request.label
    if label is None:
        return None
    if label in model.classes:
        return model.classes.index(label)
    if label.isascii() and label.isdecimal() and int(label) < len(model.classes):
        return int(label)
    last = len(model.classes) - 1
    detail = f"'label' must be a class of '{model.name}' or an index from 0 to {last}, got {shorten(label)}"
    raise refusal(ProblemCode.INVALID_FIELD, detail, pointer="/label")
