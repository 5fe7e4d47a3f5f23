"""One log line and one metric for each request, under an id that every response carries.

Never a body, a key or a query: only what the route's template, the response and the caller's name say.
"""

import json
import re
import time
import uuid
from typing import Any, Final

import structlog
from anyio import BrokenResourceError
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from contract.choices import ProblemCode
from service.metrics import ApiMetrics
from service.problems import MEDIA_TYPE, REQUEST_ID

_ACCEPTED_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_PROBES: Final = frozenset({"/livez", "/readyz", "/metrics"})
_NO_ROUTE: Final = "none"  # one label for all unknown paths, which a client can invent without end
_log = structlog.get_logger(__name__)


class RequestLogMiddleware:
    """Outermost: it sees every response, those of other middleware included."""

    def __init__(self, app: ASGIApp, metrics: ApiMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        sent_id = Headers(scope=scope).get(REQUEST_ID, "")
        request_id = sent_id if _ACCEPTED_ID.fullmatch(sent_id) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        response = _Response()
        started = time.monotonic()

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[REQUEST_ID] = request_id
            response.observe(message)
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._serve(scope, receive, send_with_id)
            except Exception:
                # The framework answers it outside of all middleware, where nothing is observed.
                response.status, response.code = response.status or 500, ProblemCode.INTERNAL_ERROR.value
                raise
            finally:
                self._record(scope, response, time.monotonic() - started)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except* BrokenResourceError:
            pass  # the client of an event stream has gone; the framework reports that as an error

    def _record(self, scope: Scope, response: "_Response", seconds: float) -> None:
        state: dict[str, Any] = scope.get("state", {})
        route = _route(scope)
        method = scope["method"] if scope["method"] in _METHODS else "other"
        status = "closed" if response.status is None else str(response.status)  # the client left too early
        labels = {"method": method, "route": route}
        self._metrics.requests.labels(**labels, status=status, code=response.code).inc()
        self._metrics.seconds.labels(**labels).observe(seconds)
        fields: dict[str, Any] = {**labels, "status": response.status, "seconds": round(seconds, 6)}
        if "caller" in state:
            fields["caller"] = state["caller"].name
        job_id = state.get("job_id") or scope.get("path_params", {}).get("job_id")
        if job_id and response.status != 404:
            fields["job_id"] = job_id
        if response.code:
            fields["code"] = response.code
        log = _log.debug if route in _PROBES else _log.info
        log("request", **fields)


class _Response:
    """Status and problem code, read from the response itself so that no handler has to report them."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.code = ""
        self._is_problem = False

    def observe(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self._is_problem = (b"content-type", MEDIA_TYPE.encode()) in message["headers"]
        elif self._is_problem and not self.code:
            self.code = str(json.loads(message["body"])["code"])  # a problem is sent in one piece


def _route(scope: Scope) -> str:
    """The path's template, which names no job and no caller."""
    path: str | None = getattr(scope.get("route"), "path", None)
    return path or _NO_ROUTE
