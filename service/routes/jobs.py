"""`/jobs`: read, wait for, follow and cancel jobs."""

import re
from collections.abc import AsyncIterator
from typing import Annotated, Final, cast

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent

from contract import keys
from contract.choices import ProblemCode
from contract.jobs import Job
from contract.limits import MAX_WAIT_SECONDS
from contract.problems import refusal
from service.edge.callers import KeyScope, get_caller, require
from service.jobs.cancellation import cancel
from service.jobs.waiting import EVENT_ID
from service.openapi.responses import TO_ITS_CERTIFICATE, problem_responses
from service.problems import RETRY_AFTER
from service.resources import Shared

_JOB_ID: Final = re.compile(r"[0-9a-f]{32}")
_READ: Final = [require(KeyScope.READ)]
router = APIRouter(tags=["jobs"])


async def job_id_in_path(
    request: Request,
    resources: Shared,
    job_id: Annotated[str, Path(description="The id in the response to the submission.")],
) -> str:
    """Dependency: the id of a job that the caller may see.

    An id of another form is refused here, so that it never becomes part of a Redis key.
    """
    if _JOB_ID.fullmatch(job_id):
        owner = cast("bytes | None", await resources.redis_async.get(keys.owner(job_id)))
        if get_caller(request).sees((owner or b"").decode()):
            return job_id
    raise refusal(ProblemCode.NOT_FOUND, "no such job")


JobId = Annotated[str, Depends(job_id_in_path)]


async def _position(
    job_id: JobId,
    resources: Shared,
    last_event_id: Annotated[
        str | None,
        Header(
            alias="Last-Event-ID",
            description="Resume after this event: the `id` of the last one received.",
            json_schema_extra={"pattern": EVENT_ID},
        ),
    ] = None,
) -> str:
    """Dependency: the event to resume after. As a dependency it can still refuse with a problem."""
    if last_event_id is not None and not re.fullmatch(EVENT_ID, last_event_id):
        detail = f"'Last-Event-ID' must be the id of an event, got {last_event_id[:40]!r}"
        raise refusal(ProblemCode.INVALID_FIELD, detail, pointer="/Last-Event-ID")
    await resources.waiter.read(job_id)
    return last_event_id or "0-0"


async def _slot(resources: Shared) -> AsyncIterator[None]:
    """Dependency: a slot for an open stream, freed however the stream ends."""
    if resources.streams.locked():
        most = resources.settings.max_streams
        detail = f"at most {most} streams may be open; use `GET /jobs/{{job_id}}?wait=` instead"
        raise refusal(ProblemCode.TOO_MANY_STREAMS, detail, headers=RETRY_AFTER)
    async with resources.streams:
        yield


@router.get(
    "/jobs/{job_id}",
    dependencies=_READ,
    responses={200: {"links": TO_ITS_CERTIFICATE}, **problem_responses(404, ProblemCode.INVALID_FIELD)},
)
async def get_job(
    request: Request,
    resources: Shared,
    job_id: JobId,
    wait: Annotated[
        int, Query(ge=0, le=MAX_WAIT_SECONDS, description="Seconds to wait for the job to end.")
    ] = 0,
) -> Job:
    """Get a job, now or when it ends."""
    return await resources.waiter.wait(request, job_id, wait)


@router.delete(
    "/jobs/{job_id}",
    dependencies=[require(KeyScope.CERTIFY)],
    responses={
        202: {"model": Job, "description": "The job is being stopped; it will have no result."},
        **problem_responses(404, 409),
    },
)
def cancel_job(resources: Shared, job_id: JobId, response: Response) -> Job:
    """Cancel a job."""
    job = cancel(resources.redis, job_id)
    response.status_code = 200 if job.status.final else 202
    return job


@router.get(
    "/jobs/{job_id}/events",
    dependencies=[*_READ, Depends(_slot)],
    response_class=EventSourceResponse,
    responses=problem_responses(404, ProblemCode.INVALID_FIELD),
)
async def follow_job(
    request: Request, resources: Shared, job_id: JobId, position: Annotated[str, Depends(_position)]
) -> AsyncIterator[ServerSentEvent]:
    """Follow a job: `progress` events, then one `job` event with the finished job.

    An `error` event holds a problem and ends the stream for good: the key was revoked, or the job expired. A
    stream that ends without either, after ten minutes or because the server stops, can be resumed with
    `Last-Event-ID`.
    """
    async for event in resources.waiter.follow(request, job_id, position):
        yield event
