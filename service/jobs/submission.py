"""From a request to a task on the queue."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from contract import keys
from contract.defaults import resolve
from contract.jobs import Submission
from contract.models import ModelInfo
from contract.problems import ProblemError
from contract.requests import CertifyRequest, PredictRequest
from contract.tasks import make_task
from service.edge.access import Caller
from service.edge.uploads import fit_image
from service.jobs.admission import QueueFull, Terms
from service.jobs.backlog import queue_full, require_room
from service.jobs.idempotency import Idempotency
from service.jobs.queue import enqueue
from service.resources import Resources
from service.tracing import traceparent


@dataclass(frozen=True)
class Submitted:
    """What a request ended in: a new job, or the one that an earlier request with the same key had made."""

    job_id: str
    submission: Submission | None

    @property
    def replayed(self) -> bool:
        """Whether the job was there already."""
        return self.submission is None


def submit(
    resources: Resources,
    caller: Caller,
    request: CertifyRequest | PredictRequest,
    upload: bytes,
    *,
    account: str,
    idempotency: Idempotency | None = None,
) -> Submitted:
    """Checks a request against its model and its image, and enqueues it.

    Args:
        resources: The API's.
        caller: Who asks.
        request: The fields.
        upload: The image file.
        account: Whom the job is counted for.
        idempotency: The client's name for the request.

    Raises:
        ProblemError: The model, the image or a field is refused, or there is no place for the job.
    """
    known = idempotency.find(resources.redis) if idempotency else None
    if known is not None:
        return Submitted(known, None)
    settings = resources.settings
    require_room(resources.store_fill.get(), settings.max_store_fill)
    model = _find_model(resources, request.model)
    resolved = resolve(request, model)
    if resolved.memory is not None:
        memory = keys.memory_name(caller.tenant, resolved.memory)
        resolved = resolved.model_copy(update={"memory": memory})
    image = resources.decoders.submit(fit_image, upload, model, request.fit).result()
    task = make_task(
        request,
        resolved,
        job_id=secrets.token_hex(16),
        model=model.name,
        model_digest=model.digest,
        image_digest=image.digest,
        upload_digest=image.upload_digest,
        request_id=structlog.contextvars.get_contextvars().get("request_id", ""),
        traceparent=traceparent(resources.settings),
    )
    record = Submission(
        job_id=task.job_id,
        tenant=caller.tenant,
        kind=task.kind,
        model=model.name,
        created_at=datetime.now(UTC),
    )
    terms = Terms(account, settings.max_queued, settings.max_queued_per_caller, idempotency)
    try:
        admitted = enqueue(resources.redis, record, task, image.pixels, terms)
    except QueueFull as full:
        engines = resources.catalogue.get().engines_alive
        raise queue_full(full.length, settings.max_queued, resources.job_seconds.get(), engines) from None
    if admitted.replayed:
        return Submitted(admitted.job_id, None)
    resources.metrics.submissions.labels(kind=record.kind.value).inc()
    return Submitted(admitted.job_id, record)


def _find_model(resources: Resources, name: str | None) -> ModelInfo:
    """Finds the model in what the engines said lately; before it is refused, they are asked again."""
    try:
        return resources.catalogue.get().resolve(name)
    except ProblemError:
        return resources.catalogue.read().resolve(name)
