"""Every error response is `application/problem+json`, and never contains the text of an exception."""

from collections.abc import Mapping
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from redis import exceptions as redis_errors
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.routing import Match

from contract.choices import ProblemCode
from contract.problems import Problem, ProblemError, problem
from service.field_messages import field_problem

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER: Final[Mapping[str, str]] = {"Retry-After": "2"}
REQUEST_ID: Final = "X-Request-ID"

# Refusals by the framework itself.
_CODES: Final[Mapping[int, ProblemCode]] = {
    400: ProblemCode.MALFORMED_BODY,
    404: ProblemCode.NOT_FOUND,
    405: ProblemCode.METHOD_NOT_ALLOWED,
    408: ProblemCode.BODY_TIMEOUT,
    413: ProblemCode.BODY_TOO_LARGE,
    415: ProblemCode.UNSUPPORTED_MEDIA_TYPE,
}
_METHODS: Final = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
_SHOWN: Final = 5
_log = structlog.get_logger(__name__)


def problem_response(problem: Problem, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Makes the response for a problem."""
    return JSONResponse(
        problem.model_dump(mode="json"), status_code=problem.status, headers=headers, media_type=MEDIA_TYPE
    )


def add_problem_handlers(app: FastAPI) -> None:
    """Maps every kind of exception to its problem."""

    @app.exception_handler(ProblemError)
    def _(_: Request, error: ProblemError) -> JSONResponse:
        return problem_response(error.problem, error.headers)

    @app.exception_handler(RequestValidationError)
    def _(_: Request, error: RequestValidationError) -> JSONResponse:
        return problem_response(validation_problem(error.errors()))

    @app.exception_handler(HTTPException)
    def _(request: Request, error: HTTPException) -> JSONResponse:
        if isinstance(
            error.__cause__, OSError
        ):  # the framework takes any failure while reading for a malformed body
            return _no_room(error.__cause__)
        code = _CODES.get(error.status_code, ProblemCode.INTERNAL_ERROR)
        detail, headers = str(error.detail), error.headers
        if error.status_code == 404:
            detail = "no such path"
        elif error.status_code == 405:
            headers = {"Allow": _allowed_methods(request)}
            detail = f"the method must be one of {headers['Allow']}, got {request.method}"
        return problem_response(problem(code, detail), headers)

    # ResponseError: Redis is full, read-only, or cannot write to its disk.
    @app.exception_handler(redis_errors.ResponseError)
    @app.exception_handler(redis_errors.ConnectionError)
    @app.exception_handler(redis_errors.TimeoutError)
    def _(_: Request, error: Exception) -> JSONResponse:
        _log.error("store_unavailable", error=str(error))
        detail = "Redis does not answer, or refuses writes; try again"
        return problem_response(problem(ProblemCode.STORE_UNAVAILABLE, detail), RETRY_AFTER)

    @app.exception_handler(Exception)
    def _(request: Request, error: Exception) -> JSONResponse:
        request_id = getattr(request.state, "request_id", "unknown")
        _log.error("internal_error", exc_info=error, request_id=request_id)
        detail = f"the server failed; its log has the reason under request {request_id}"
        # This handler runs outside the middleware that adds the id to every other response. The server closes
        # the connection after it, so the client is told.
        headers = {REQUEST_ID: request_id, "Connection": "close"}
        return problem_response(problem(ProblemCode.INTERNAL_ERROR, detail), headers)


def _no_room(error: OSError) -> JSONResponse:
    """Refuses a body that could not be stored: the framework spools large ones to disk."""
    _log.error("body_not_kept", error=str(error))
    detail = "the server could not store the body while reading it; try again"
    return problem_response(problem(ProblemCode.STORE_UNAVAILABLE, detail), RETRY_AFTER)


def _allowed_methods(request: Request) -> str:
    """The `Allow` header of a 405; the framework's names the methods of the path's first route only."""
    return ", ".join(
        method
        for method in _METHODS
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL
            for route in request.app.router.routes
        )
    )


def validation_problem(errors: Any) -> Problem:
    """Makes one problem of all of pydantic's errors; it lists every wrong field."""
    unreadable = [error for error in errors if _is_unreadable(error)]
    if unreadable:
        detail = "the body is empty" if unreadable[0]["type"] == "missing" else "the body is not valid JSON"
        return problem(ProblemCode.MALFORMED_BODY, detail)
    fields = [field_problem(error) for error in errors]
    shown = "; ".join(field.message for field in fields[:_SHOWN])
    rest = f"; and {len(fields) - _SHOWN} more" if len(fields) > _SHOWN else ""
    # An invalid field outranks too few samples.
    few = all(error["type"] == ProblemCode.TOO_FEW_SAMPLES for error in errors)
    code = ProblemCode.TOO_FEW_SAMPLES if few else ProblemCode.INVALID_FIELD
    return problem(code, shown + rest, fields)


def _is_unreadable(error: Any) -> bool:
    missing = error["type"] == "missing" and error["loc"] == ("body",)
    return bool(missing or error["type"] == "json_invalid")
