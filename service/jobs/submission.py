"""From a request to a task on the queue."""

import math
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

import structlog
from redis import Redis, exceptions

from contract import keys
from contract.choices import ProblemCode
from contract.defaults import resolve
from contract.jobs import Submission
from contract.limits import MAX_RETRY_AFTER
from contract.models import ModelInfo
from contract.problems import ProblemError, refusal
from contract.requests import CertifyRequest, PredictRequest
from contract.tasks import make_task
from service.edge.callers import Caller
from service.edge.uploads import fit_image
from service.jobs.admission import QueueFull, Terms
from service.jobs.catalogue import Catalogue
from service.jobs.idempotency import Idempotency
from service.jobs.queue import enqueue
from service.jobs.seeds import deployment_secret, own_seed
from service.metrics import ApiMetrics
from service.problems import RETRY_AFTER
from service.settings import ServiceSettings
from service.tracing import traceparent

Value = TypeVar("Value", covariant=True)


class Cached(Protocol[Value]):
    """A function without arguments whose result is kept for a while, as `cachetools.cached` makes one."""

    def __call__(self) -> Value:
        """Returns the kept result, or a new one if that is too old."""

    def cache_clear(self) -> None:
        """Forgets the result."""


@dataclass(frozen=True)
class Submitted:
    """The job of a request: new, or the one that an earlier request with the same idempotency key made."""

    job_id: str
    submission: Submission | None


@dataclass(frozen=True)
class Submitter:
    """Checks requests against their model and image, and enqueues them.

    Attributes:
        redis: The server with the queue.
        settings: Caps, and the default model.
        decoders: Threads that decode images; their number bounds memory.
        metrics: Counts what was enqueued.
        catalogue: What the engines reported at most ``catalogue_seconds`` ago.
        store_fill: Part of Redis' ``maxmemory`` that is used, as old.
        job_seconds: Mean time of a job, as old.
    """

    redis: Redis
    settings: ServiceSettings
    decoders: ThreadPoolExecutor
    metrics: ApiMetrics
    catalogue: Cached[Catalogue]
    store_fill: Callable[[], float]
    job_seconds: Callable[[], float]

    def submit(
        self,
        caller: Caller,
        request: CertifyRequest | PredictRequest,
        upload: bytes,
        *,
        account: str,
        idempotency: Idempotency | None = None,
    ) -> Submitted:
        """Enqueues a request.

        Args:
            caller: Who sent it.
            request: The fields.
            upload: The image file.
            account: Whom the job is counted for.
            idempotency: The client's key for the request.

        Raises:
            ProblemError: The model, the image or a field is refused, or a cap is reached.
        """
        known = idempotency.find(self.redis) if idempotency else None
        if known is not None:
            return Submitted(known, None)
        _require_room(self.store_fill(), self.settings.max_store_fill)
        model = self._find_model(request.model)
        resolved = resolve(request, model)
        if resolved.memory is not None:
            memory = keys.memory_name(caller.tenant, resolved.memory)
            resolved = resolved.model_copy(update={"memory": memory})
        image = self.decoders.submit(fit_image, upload, model, request.fit).result()
        if request.seed is None:
            seed = own_seed(deployment_secret(self.redis), model.digest, image.digest)
            resolved = resolved.model_copy(update={"seed": seed})
        task = make_task(
            request,
            resolved,
            job_id=secrets.token_hex(16),
            model=model.name,
            model_digest=model.digest,
            image_digest=image.digest,
            upload_digest=image.upload_digest,
            request_id=structlog.contextvars.get_contextvars().get("request_id", ""),
            traceparent=traceparent(self.settings),
        )
        submission = Submission(
            job_id=task.job_id,
            tenant=caller.tenant,
            kind=task.kind,
            model=model.name,
            created_at=datetime.now(UTC),
        )
        terms = Terms(account, self.settings.max_queued, self.settings.max_queued_per_caller, idempotency)
        try:
            earlier = enqueue(self.redis, submission, task, image.pixels, terms)
        except QueueFull as full:
            raise self._queue_full(full.length) from None
        if earlier is not None:
            return Submitted(earlier, None)
        self.metrics.submissions.labels(kind=submission.kind.value).inc()
        return Submitted(task.job_id, submission)

    def _find_model(self, name: str | None) -> ModelInfo:
        """Looks in the cached catalogue; before a model is refused, the engines' reports are read again."""
        try:
            return self.catalogue().resolve(name)
        except ProblemError:
            self.catalogue.cache_clear()
            return self.catalogue().resolve(name)

    def _queue_full(self, waiting: int) -> ProblemError:
        seconds = drain_seconds(waiting, self.job_seconds(), self.catalogue().engines_alive)
        cap = self.settings.max_queued
        detail = (
            f"at most {cap} jobs may wait, and {waiting} do; at the present pace they take about {seconds} s"
        )
        return refusal(ProblemCode.QUEUE_FULL, detail, headers={"Retry-After": str(seconds)})


def drain_seconds(waiting: int, mean_seconds: float, engines: int) -> int:
    """Returns how long the waiting jobs will take, in whole seconds from 1 to 3600.

    >>> drain_seconds(1000, 0.25, 2), drain_seconds(1, 0.01, 4), drain_seconds(1000, 60, 0)
    (125, 1, 3600)
    """
    return max(1, min(MAX_RETRY_AFTER, math.ceil(waiting * mean_seconds / max(1, engines))))


def read_store_fill(redis: Redis) -> float:
    """Returns the part of Redis' ``maxmemory`` that is used; 0 without a limit or without INFO."""
    try:
        memory: Any = redis.info("memory")
    except exceptions.ResponseError:
        return 0.0
    most = memory.get("maxmemory", 0)
    return float(memory["used_memory"] / most) if most else 0.0


def _require_room(fill: float, most: float) -> None:
    """Refuses a job while its answer might find no room."""
    if fill > most:
        detail = (
            f"Redis uses {fill:.0%} of its 'maxmemory', and jobs are accepted up to {most:.0%}: "
            "the rest is reserved for the answers of accepted jobs"
        )
        raise refusal(ProblemCode.STORE_UNAVAILABLE, detail, headers=RETRY_AFTER)
