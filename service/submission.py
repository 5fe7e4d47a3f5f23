"""From a request to a task on the queue."""

import secrets
from datetime import UTC, datetime

import structlog

from contract import keys
from contract.choices import JobKind
from contract.jobs import Submission
from contract.requests import CertifyRequest, PredictRequest
from contract.tasks import CertifyTask, PredictTask
from service import job_queue
from service.access import Caller
from service.catalogue import read_catalogue
from service.defaults import certify_fields, shared_fields
from service.images import fit_image
from service.resources import Resources
from service.tracing import traceparent


def submit(
    resources: Resources, caller: Caller, request: CertifyRequest | PredictRequest, upload: bytes
) -> str:
    """Checks a request against its model and its image, enqueues it and returns the job's id.

    Raises:
        ProblemError: The model, the image or a field is refused.
    """
    model = read_catalogue(resources.redis, resources.settings.default_model).resolve(request.model)
    fields = shared_fields(request, model)
    if isinstance(request, CertifyRequest):
        fields |= certify_fields(request, model, fields)
    if fields["memory"] is not None:
        fields["memory"] = keys.memory_name(caller.tenant, fields["memory"])
    image = fit_image(upload, model, request.fit)
    kind = CertifyTask if isinstance(request, CertifyRequest) else PredictTask
    task = kind(
        **fields,
        job_id=secrets.token_hex(16),
        image_digest=image.digest,
        upload_digest=image.upload_digest,
        request_id=structlog.contextvars.get_contextvars().get("request_id", ""),
        traceparent=traceparent(resources.settings),
    )
    record = Submission(
        job_id=task.job_id,
        tenant=caller.tenant,
        kind=JobKind.CERTIFY if isinstance(task, CertifyTask) else JobKind.PREDICT,
        model=model.name,
        created_at=datetime.now(UTC),
    )
    job_queue.submit(resources.redis, record, task, image.pixels)
    resources.metrics.submissions.labels(kind=record.kind.value).inc()
    return task.job_id
