"""What the submitting routes share: media types, waiting, and the answer."""

from collections.abc import Callable, Coroutine
from typing import Any, Final

import structlog
from anyio import to_thread
from fastapi import Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from redis.exceptions import RedisError

from contract.choices import ProblemCode
from contract.jobs import Job
from contract.problems import refusal
from contract.requests import CertifyRequest, PredictRequest
from service.edge.access import get_caller
from service.edge.rate_limits import account_of
from service.jobs.idempotency import HEADER, REPLAYED, make_idempotency
from service.jobs.state import queued_job
from service.jobs.submission import Submitted, submit
from service.jobs.waiting import wait_until_final
from service.openapi.document import MULTIPART, header, problem_responses
from service.openapi.links import TO_ITS_CERTIFICATE, TO_THE_JOB
from service.resources import Resources

JSON: Final = "application/json"
_MARKS: Final = (b",", b":", b"{", b"[")
_MAX_MARKS: Final = 1_000  # every field at its longest has fewer than half of them
_log = structlog.get_logger(__name__)

_HEADERS: Final = {
    "Location": header("The job."),
    "Preference-Applied": header("The wait that was granted: `wait=N`.", required=False),
    REPLAYED: header(f"`true` when an earlier request with this `{HEADER}` made the job.", required=False),
}
RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "model": Job,
        "description": "The job has ended within the time that was waited.",
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


class MultipartRoute(APIRoute):
    """A route that takes `multipart/form-data` alone."""

    media_type: str = MULTIPART

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Refuses another media type before the body is read; the framework would say that fields miss."""
        handler = super().get_route_handler()

        async def checked(request: Request) -> Response:
            if not self._is_mine(request):
                detail = f"'Content-Type' must be {self.media_type}, got {_media_type(request) or 'none'}"
                raise refusal(ProblemCode.UNSUPPORTED_MEDIA_TYPE, detail)
            return await handler(request)

        return checked

    def _is_mine(self, request: Request) -> bool:
        return _media_type(request) == self.media_type


class JsonRoute(MultipartRoute):
    """A route that takes `application/json` alone, and no document of a million members."""

    media_type = JSON

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Counts what a member or an item needs, which base64 has none of, before the document is parsed."""
        handler = super().get_route_handler()

        async def checked(request: Request) -> Response:
            body = await request.body() if self._is_mine(request) else b""
            if sum(map(body.count, _MARKS)) > _MAX_MARKS:
                detail = f"the document must have <= {_MAX_MARKS} commas, colons and opening brackets"
                raise refusal(ProblemCode.MALFORMED_BODY, detail)
            return await handler(request)

        return checked


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def answer(
    resources: Resources,
    request: Request,
    asked: CertifyRequest | PredictRequest,
    upload: bytes,
    wait: int | None,
    key: str | None,
) -> JSONResponse:
    """Submits a request, waits if that was preferred, and answers with the job.

    A new job is answered with its id also when the store fails while it is waited for: whoever was refused
    would send the image again, and have two.
    """
    submitted = await to_thread.run_sync(
        _submit, resources, request, asked, upload, key, limiter=resources.submitters
    )
    request.state.job_id = submitted.job_id
    waits = wait is not None and not resources.waiters.locked()
    if submitted.submission is not None and not waits:
        job = queued_job(submitted.submission)
    else:
        try:
            job = await wait_until_final(resources, request, submitted.job_id, wait or 0)
        except RedisError as error:
            if submitted.submission is None:
                raise
            _log.warning("store_unavailable", error=str(error))
            job, waits = queued_job(submitted.submission), False
    headers = {"Location": job.links.self}
    if waits:
        headers["Preference-Applied"] = f"wait={wait}"
    if submitted.replayed:
        headers[REPLAYED] = "true"
    status = 200 if job.status.final else 202
    return JSONResponse(job.model_dump(mode="json"), status_code=status, headers=headers)


def _submit(
    resources: Resources,
    request: Request,
    asked: CertifyRequest | PredictRequest,
    upload: bytes,
    key: str | None,
) -> Submitted:
    caller = get_caller(request)
    idempotency = make_idempotency(key, caller, request.url.path, asked, upload)
    account = account_of(request.scope)
    return submit(resources, caller, asked, upload, account=account, idempotency=idempotency)
