"""What the submitting routes share: media types, waiting, and the answer."""

from collections.abc import Callable, Coroutine
from typing import Any, Final

from anyio import to_thread
from fastapi import Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute

from contract.choices import ProblemCode
from contract.jobs import Job
from contract.requests import CertifyRequest, PredictRequest
from service.access import get_caller
from service.openapi import MULTIPART, header, problem_responses
from service.openapi_links import TO_ITS_CERTIFICATE, TO_THE_JOB
from service.problems import refusal
from service.resources import Resources
from service.submission import submit
from service.waiting import wait_until_final

JSON: Final = "application/json"

_HEADERS: Final = {
    "Location": header("The job."),
    "Preference-Applied": header("The wait that was granted: `wait=N`.", required=False),
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
    **problem_responses(400, 413, 415, 422),
}


class MultipartRoute(APIRoute):
    """A route that takes `multipart/form-data` alone."""

    media_type: str = MULTIPART

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Refuses another media type before the body is read; the framework would say that fields miss."""
        handler = super().get_route_handler()

        async def checked(request: Request) -> Response:
            sent = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            if sent != self.media_type:
                detail = f"'Content-Type' must be {self.media_type}, got {sent or 'none'}"
                raise refusal(ProblemCode.UNSUPPORTED_MEDIA_TYPE, detail)
            return await handler(request)

        return checked


class JsonRoute(MultipartRoute):
    """A route that takes `application/json` alone."""

    media_type = JSON


async def answer(
    resources: Resources,
    request: Request,
    asked: CertifyRequest | PredictRequest,
    upload: bytes,
    wait: int | None,
) -> JSONResponse:
    """Submits a request, waits if that was preferred, and answers with the job."""
    caller = get_caller(request)
    job_id = await to_thread.run_sync(submit, resources, caller, asked, upload, limiter=resources.decoders)
    waits = wait is not None and not resources.waiters.locked()
    job = await wait_until_final(resources, request, job_id, wait or 0)
    headers = {"Location": job.links.self}
    if waits:
        headers["Preference-Applied"] = f"wait={wait}"
    status = 200 if job.status.final else 202
    return JSONResponse(job.model_dump(mode="json"), status_code=status, headers=headers)
