"""What the routes that submit jobs share: media types, `Prefer: wait=N`, and the response."""

import re
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Annotated, Any, Final

import structlog
from anyio import to_thread
from fastapi import Depends, Header, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from redis.exceptions import RedisError

from contract.choices import ProblemCode
from contract.jobs import Job
from contract.limits import MAX_WAIT_SECONDS
from contract.problems import refusal
from contract.requests import CertifyRequest, PredictRequest
from service.edge.callers import get_caller
from service.edge.rate_limits import account_of
from service.jobs.idempotency import HEADER, REPLAYED, SentKey, make_idempotency
from service.jobs.state import queued_job
from service.jobs.submission import Submitted
from service.openapi.operations import MULTIPART
from service.openapi.responses import TO_ITS_CERTIFICATE, TO_THE_JOB, header, problem_responses
from service.resources import Resources, Shared

Asked = CertifyRequest | PredictRequest

JSON: Final = "application/json"
_MARKS: Final = (b",", b":", b"{", b"[")
_WAIT: Final = re.compile(r"(?:^|[,;])\s*wait\s*=\s*\"?(\d{1,9})\"?\s*(?=$|[,;])", re.IGNORECASE)
_MAX_MARKS: Final = 1_000  # all fields at their longest have fewer than half as many
_log = structlog.get_logger(__name__)

_HEADERS: Final = {
    "Location": header("Path of the job."),
    "Preference-Applied": header("The wait that was applied: `wait=N`.", required=False),
    REPLAYED: header(f"`true` when an earlier request with this `{HEADER}` made the job.", required=False),
}
RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "model": Job,
        "description": "The job ended while the request waited.",
        "headers": _HEADERS,
        "links": {**TO_THE_JOB, **TO_ITS_CERTIFICATE},
    },
    202: {
        "model": Job,
        "description": "The job is queued or running.",
        "headers": _HEADERS,
        "links": TO_THE_JOB,
    },
    **problem_responses(400, 408, 413, 415, 422),
}


class SubmittingRoute(APIRoute):
    """A route that takes JSON if its path ends so, else a form, and refuses other bodies before parsing them.

    The framework itself would answer that every field is missing.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wraps the framework's handler."""
        handler = super().get_route_handler()
        media_type = JSON if self.path.endswith("/json") else MULTIPART

        async def checked(request: Request) -> Response:
            sent = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            if sent != media_type:
                detail = f"'Content-Type' must be {media_type}, got {sent or 'none'}"
                raise refusal(ProblemCode.UNSUPPORTED_MEDIA_TYPE, detail)
            if media_type == JSON:
                _bound_members(await request.body())
            return await handler(request)

        return checked


def _bound_members(body: bytes) -> None:
    """Bounds the number of members: within the size limit, parsing millions of them would take seconds.

    base64 contains none of the characters that are counted.
    """
    if sum(map(body.count, _MARKS)) > _MAX_MARKS:
        detail = f"the document must have <= {_MAX_MARKS} commas, colons and opening brackets"
        raise refusal(ProblemCode.MALFORMED_BODY, detail)


def preferred_wait(
    prefer: Annotated[
        str | None,
        Header(
            alias="Prefer",
            description=f"`wait=N` waits up to N seconds (at most {MAX_WAIT_SECONDS}) for the answer.",
        ),
    ] = None,
) -> int | None:
    """Dependency: the seconds that the client asks for (RFC 7240), capped. A preference may be ignored."""
    found = _WAIT.search(prefer or "")
    return min(int(found[1]), MAX_WAIT_SECONDS) if found else None


def submitting(
    request: Request,
    resources: Shared,
    wait: Annotated[int | None, Depends(preferred_wait)],
    key: SentKey,
) -> Callable[[Asked, bytes], Coroutine[Any, Any, JSONResponse]]:
    """Dependency: the function that submits fields and image, and responds with the job."""
    return partial(_answer, resources, request, wait, key)


Submit = Annotated[Callable[[Asked, bytes], Coroutine[Any, Any, JSONResponse]], Depends(submitting)]


async def _answer(
    resources: Resources, request: Request, wait: int | None, key: str | None, asked: Asked, upload: bytes
) -> JSONResponse:
    """Submits a request, waits if the client prefers that, and responds with the job.

    If Redis fails while a new job is waited for, the job's id is returned all the same: a client that gets an
    error would send the image again, and have two jobs.
    """
    submitted = await to_thread.run_sync(
        _submit, resources, request, asked, upload, key, limiter=resources.submitter_threads
    )
    request.state.job_id = submitted.job_id
    waits = wait is not None and not resources.waiter.slots.locked()
    if submitted.submission is not None and not waits:
        job = queued_job(submitted.submission)
    else:
        try:
            job = await resources.waiter.wait(request, submitted.job_id, wait or 0)
        except RedisError as error:
            if submitted.submission is None:
                raise
            _log.warning("store_unavailable", error=str(error))
            job, waits = queued_job(submitted.submission), False
    headers = {"Location": job.links.self}
    if waits:
        headers["Preference-Applied"] = f"wait={wait}"
    if submitted.submission is None:
        headers[REPLAYED] = "true"
    status = 200 if job.status.final else 202
    return JSONResponse(job.model_dump(mode="json"), status_code=status, headers=headers)


def _submit(
    resources: Resources, request: Request, asked: Asked, upload: bytes, key: str | None
) -> Submitted:
    caller = get_caller(request)
    idempotency = make_idempotency(key, caller, request.url.path, asked, upload)
    account = account_of(request.scope)
    return resources.submitter.submit(caller, asked, upload, account=account, idempotency=idempotency)
